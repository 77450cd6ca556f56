"""Consoles of programs: options, messages, progress, interrupts and exit codes."""
