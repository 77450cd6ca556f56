"""Words of the library, as a command line has them."""

OPTIONS = {
    "allow_video=True": "--driving-kind audio",
    "choose the detector none": "pass --detector none",
    "name its folder": "name its folder by --detector-models",
    "face=N": "--face N",
    "by max_size": "by --max-size",
    "(no lip_sync": "(--no-lip-sync",
    "pass no_lip_sync": "pass --no-lip-sync",
    "overwrite=True": "--overwrite",
}
"""Words in messages of the library -> options of the programs."""


def as_options(message: str) -> str:
    """Return a message of the library that names options in place of arguments."""
    for argument, option in OPTIONS.items():
        message = message.replace(argument, option)
    return message
