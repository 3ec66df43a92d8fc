"""Two videos of different shape, made comparable where the caller asks for it, as the papers' evaluator does.

It takes the first frames of the uncached video, as many as the other has, and the middle of each, as large as the
other's frames. Where the uncached frames are smaller in a direction they are first resized (bilinear) to
max(h, int(h * H / W)) x max(w, int(w * W / H)), with H x W the uncached and h x w the other's size. That does not
keep the aspect ratio, whatever it was meant to: figures across sizes compare only with figures made the same way.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from cachekit_eval.metric import Frames

Size = tuple[int, int]
"""Height and width, in pixels."""


def fit(frame: Frames, size: Size) -> Frames:
    """A frame `[H, W, 3]` of the uncached video, resized and cropped to `size`."""
    frame = _resize(frame, enlarged(frame_size(frame), size))
    top, left = (frame.shape[0] - size[0]) // 2, (frame.shape[1] - size[1]) // 2
    return np.ascontiguousarray(frame[top : top + size[0], left : left + size[1]])


def describe_fit(gt: Size, gen: Size) -> str:
    """What `fit` does to frames of size `gt`, in words, for the result."""
    middle = enlarged(gt, gen)
    steps = ([f"resized to {middle[0]}x{middle[1]}"] if middle != gt else []) + (
        [f"cropped to the middle {gen[0]}x{gen[1]}"] if middle != gen else []
    )
    return f"gt's frames of {gt[0]}x{gt[1]} were {' and '.join(steps)}"


def enlarged(gt: Size, gen: Size) -> Size:
    """The size that frames of size `gt` are resized to before they are cropped to `gen`."""
    if gt[0] >= gen[0] and gt[1] >= gen[1]:
        return gt
    return max(gen[0], int(gen[0] * (gt[0] / gt[1]))), max(gen[1], int(gen[1] * (gt[1] / gt[0])))


def frame_size(frame: Frames) -> Size:
    return frame.shape[0], frame.shape[1]


def _resize(frame: Frames, size: Size) -> Frames:
    if size == frame_size(frame):
        return frame
    import torch
    from torchvision.transforms import functional  # type: ignore[import-untyped]

    planes = torch.from_numpy(frame.transpose(2, 0, 1).copy())
    return cast(Frames, functional.resize(planes, list(size)).permute(1, 2, 0).contiguous().numpy())
