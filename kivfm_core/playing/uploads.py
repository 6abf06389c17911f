"""Images that a browser sends: limited, decoded from memory, and never written anywhere."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from kivfm_core.data.images import open_checked
from kivfm_core.data.modes import to_upright_rgb
from kivfm_core.errors import DataError
from kivfm_core.text import size

# Of a file, and of the image in it.
MAX_BYTES = 32 * 2**20
MAX_PIXELS = 40_000_000
# Larger images are made smaller: no screen shows more, and no canvas here is as fine.
LONG_SIDE = 1600
# Pillow's readers that are let near a stranger's file; others start programs, or are rarely read.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF", "GIF", "AVIF", "JPEG2000")


def read_upload(content: bytes) -> Image.Image:
    """The image in a file that was sent, upright, RGB, and no larger than the page needs.

    Raises:
        DataError: If it is no image, a broken one, or too large.
    """
    if len(content) > MAX_BYTES:
        raise too_many_bytes()
    if not content:
        raise DataError("the file is empty")
    try:
        Image.init()
        formats = [name for name in FORMATS if name in Image.OPEN]  # as this Pillow was built
        with open_checked(BytesIO(content), formats) as image:
            _check_pixels(image)
            if image.format == "JPEG":
                image.draft("RGB", (LONG_SIDE, LONG_SIDE))  # decoded small, several times as fast
            return fit(to_upright_rgb(image))
    except (DataError, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise DataError(_too_many_pixels("far too many")) from None
    # A malicious file can make a decoder raise anything.
    except Exception as error:
        reason = "it is no image of a known format"
        if not isinstance(error, Image.UnidentifiedImageError):
            reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"this file cannot be read as an image: {reason}") from error


def fit(image: Image.Image) -> Image.Image:
    """An image that is no larger than the page needs."""
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return image


def too_many_bytes() -> DataError:
    """What is said of a file that is too large."""
    return DataError(f"the file is too large: at most {size(MAX_BYTES)} are taken")


def _check_pixels(image: Image.Image) -> None:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise DataError(_too_many_pixels(f"{image.width} x {image.height}"))


def _too_many_pixels(what: str) -> str:
    return f"the image has {what} pixels: at most {MAX_PIXELS // 10**6} million are taken"
