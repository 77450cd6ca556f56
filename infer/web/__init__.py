"""The web page: talking portraits, driven portraits, lip-sync and edits in a browser."""
