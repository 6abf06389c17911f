"""The images of a run, for all its processes."""

from __future__ import annotations

from lightning_fabric import Fabric

from kivfm_core.config import RunConfig
from kivfm_core.data.remote.url import Url
from kivfm_core.data.unlabeled import Images, find_images
from kivfm_core.distillation.demo_data import data_path
from kivfm_core.progress import Progress


def find_run_images(config: RunConfig, fabric: Fabric, progress: Progress) -> Images:
    """The images that a run's configuration names; all processes have to call it.

    One process of each machine draws the demo scenes, and the others find them drawn. One process
    of all lists what is at a URL: requests are made once, and all processes have one list.

    Raises:
        DataError: If there are none.
        KivfmError: If a URL cannot be read here.
    """
    with fabric.rank_zero_first(local=True):
        path = data_path(config, progress)
    if not isinstance(path, Url):
        return find_images(path)
    found = fabric.broadcast(find_images(path) if fabric.is_global_zero else None)
    assert found is not None
    return found
