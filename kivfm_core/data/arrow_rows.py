"""Images in the rows of an Arrow file, as Hugging Face's datasets keep them. Torch-free.

Only where they lie is read: decoding reads the file itself, in any thread or process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kivfm_core.errors import DataError, PluginError, printable


def read_columns(file: Path, columns: list[str]) -> Any:
    """Some columns of an Arrow file as a `pyarrow.Table`, mapped and checked.

    Raises:
        PluginError: If pyarrow is not installed.
        DataError: If it is no such file, or has no such columns.
    """
    try:
        # Imported when such a file is read: it is an extra, and heavy.
        import pyarrow as pa
    except ImportError as error:
        raise PluginError(
            "Hugging Face datasets need pyarrow, which is not installed",
            "pip install 'kivfm[datasets]'",
        ) from error
    try:
        with pa.memory_map(str(file)) as source:
            table = pa.ipc.open_stream(source).read_all().select(columns)
        table.validate(full=True)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(f"cannot read {printable(file)}: {printable(str(error))}") from error
    return table


def image_places(file: Path, column: str) -> NDArray[np.int64]:
    """First byte and number of bytes `[N, 2]` of the image in each row; 0, 0 where is none.

    Raises:
        DataError: If it cannot be read, or the column does not hold the images' bytes.
    """
    read_columns(file, [column])
    # Imported by `read_columns`, as is said there.
    import pyarrow as pa

    places: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
    with pa.memory_map(str(file)) as source:
        whole = source.read_buffer(source.size())
        chunks = pa.ipc.open_stream(pa.BufferReader(whole)).read_all().column(column).chunks
        for chunk in chunks:
            kind = chunk.type
            if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
                raise DataError(f"{printable(file)}: the column {printable(column)} has no images")
            values = chunk.field("bytes").cast(pa.large_binary())
            _, ends, data = values.buffers()
            found = np.frombuffer(ends, np.int64)[values.offset : values.offset + len(values) + 1]
            if not len(found) or not found[-1]:
                places.append(np.zeros((len(values), 2), np.int64))
                continue
            start = data.address - whole.address
            if start < 0 or start + int(found[-1]) > whole.size:
                raise DataError(f"{printable(file)} is compressed", "save it with save_to_disk")
            own = np.stack([found[:-1] + start, np.diff(found)], axis=1)
            places.append(np.where(own[:, 1:] > 0, own, 0))
    return np.concatenate(places)
