"""Reads the records in a checkpoint without torch: every measurement of the trial up to the checkpoint's step.

Does not read the parameters; see `trainers.maml.checkpoints.checkpoint`.
"""

import io
import json
import zipfile
from typing import Any

from trainers.maml.checkpoints.head import MALFORMED


def records_in(payload: bytes) -> list[tuple[int, str, dict[str, Any]]]:
    """Return the records (step, key, value) in the unsealed content of a checkpoint; see `trainers.trainer`.

    Raises ValueError if it is not a checkpoint.
    """
    import numpy as np  # most commands read no checkpoint

    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.zip.infolist()):
                raise ValueError("it is compressed, so a small file could fill the memory")
            text = json.loads(archive["text"].tobytes())
        return [(step, key, value) for step, key, value in text["records"]]
    except (TypeError, AttributeError, OSError, *MALFORMED) as error:
        raise ValueError(f"not a checkpoint ({error})") from None
