"""`python -m tests.ends.small_download ...`: the download program, for which small files
are the published ones."""

from jaxportrait.console.download import main
from jaxportrait.media.faces import download
from tests.media.published import FILES

if __name__ == "__main__":
    download.PUBLISHED = FILES
    main()
