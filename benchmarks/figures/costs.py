"""Tables of what things cost, and of how well the embedded model does."""

from __future__ import annotations

from benchmarks.figures.measuring import Kept
from benchmarks.figures.pages import table


def attaching_table(kept: Kept) -> str:
    """`cachekit bench`, beside what it may be at most."""
    steps, loop, held = (kept.found[key] for key in ("steps", "loop", "held"))
    rows = [
        [f"{what}, {how}", bounded(figures[key]), str(most.get(how, ""))]
        for what, key, most in (
            ("attached computed step / bare step", "computed_over_bare", {"eager": 1.01, "inductor": 1.02}),
            (
                "attached skipped step / the same forward with its blocks replaced by nothing",
                "skipped_over_floor",
                {"eager": 1.05, "inductor": "1.10"},
            ),
            ("the same of the first skipped step after a computed one", "first_skipped_over_floor", {}),
        )
        for how, figures in steps.items()
    ]
    parts = "a MagCache run of the embedded model's loop / (computed * bare step + skipped * floor)"
    rows.append([parts, f"{loop['over_its_parts']:.3f}", "1.05"])
    residuals = ", ".join(f"`{one['predictor']}` {one['residuals']:g}" for one in held)
    return table(["what", "measured", "at most"], [*rows, ["residuals held between steps", residuals, ""]])


def adherence_table(kept: Kept) -> str:
    """What share of the embedded model's videos shows what their prompts say."""
    names = ["colour", "shape", "motion", "background", "nothing_else"]
    rows = [
        [str(one["objects"]), str(one["videos"]), *(f"{one['shares'][name]:.1%}" for name in names)]
        for one in kept.found
    ]
    return table(["objects", "videos", *(name.replace("_", " ") for name in names)], rows)


def evaluator_table(kept: Kept) -> str:
    found = kept.found
    rows = [
        [
            "frames a second, PSNR and SSIM with decoding, over those of scikit-image's SSIM alone in one thread",
            f"{found['times_faster']:.1f}",
        ],
        ["processor time a frame", f"{found['evaluator_processor_ms_per_frame']:.0f} ms"],
        ["scikit-image's", f"{found['scikit_image_processor_ms_per_frame']:.0f} ms"],
        [f"peak memory of {found['pairs']} pairs over that of one", f"{found['peak_ratio']:.2f}"],
        ["largest difference from scikit-image's SSIM", f"{found['largest_ssim_difference']:.1e}"],
    ]
    return table(["what", "figure"], rows)


def gramcache_cost_table(kept: Kept) -> str:
    ratio = kept.found["corrected_over_computed"]
    rows = [
        ["a corrected step over the same computed step without correction", bounded(ratio), "1.01"],
        ["planning 50 steps, in a fresh process", f"{kept.found['planning_seconds']:.2f} s", "1 s"],
    ]
    return table(["what", "measured", "at most"], rows)


def dealing_table(kept: Kept) -> str:
    rows = [
        [
            str(one["workers"]),
            f"{one['videos']:,}",
            f"{one['driver_milliseconds']:.1f}",
            f"{one['worker_milliseconds']:.1f}",
            f"{one['memory_begin']:.0f}, {one['memory_end']:.0f}",
        ]
        for one in kept.found
    ]
    head = ["workers", "videos", "driver's processor ms a video", "ms a video and worker"]
    return table([*head, "driver's MiB when all workers were there, at the end"], rows)


def peers_table(kept: Kept) -> str:
    """A computed and a skipped call of each way beside the bare call, the floor and ours."""
    head = ["", "", "computed (ms)", "over bare", "skipped (ms)", "over the floor", "cachekit's, enabled, over it"]
    rows = [
        [
            model,
            way,
            milliseconds(one["computed"]),
            bounded(one["computed_over_bare"]),
            milliseconds(one["skipped"]),
            bounded(one["skipped_over_floor"]),
            bounded(one["ours_over_skipped"]),
        ]
        for model, ways in kept.found.items()
        for way, one in ways.items()
    ]
    return table(head, rows)


def controlnet_table(kept: Kept) -> str:
    """How far from uncached each way is, for each strength of the ControlNet."""
    rows, seeds = kept.found["rows"], kept.found["seeds"]
    head = ["`controlnet_conditioning_scale`", *rows[0]["mean"], "cachekit is nearer"]
    cells = [
        [
            f"{row['strength']:g}",
            *(f"{row['mean'][way]:.4f} ({row['worst'][way]:.4f})" for way in row["mean"]),
            f"{row['nearer']} of {seeds}",
        ]
        for row in rows
    ]
    return table(head, cells)


def milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def bounded(ratio: dict[str, float] | None) -> str:
    return "" if ratio is None else "{median:.3f} ({low:.3f} to {high:.3f})".format(**ratio)


def sharing_table(kept: Kept) -> str:
    """Shares and Ray's workers beside one process: bytes, and what a kill costs."""
    same, kills = kept.found["bytes"], kept.found["kills"]
    right = kills["ended_as_one_process"]
    equal = [name for name, is_equal in same["equal"].items() if is_equal]
    rows = [
        [f"{same['videos']} videos: files equal to one process's, byte for byte", "; ".join(equal)],
        [f"kill -9 of a worker, {kills['worker_kills']} runs: ended as one undisturbed", str(right["workers"])],
        [f"kill -9 of the driver, {kills['driver_kills']} runs: gone on with, ended so", str(right["drivers"])],
        ["finished videos lost by a kill", str(kills["lost"])],
    ]
    return table(["what", "measured"], rows)


def sharing_cost_table(kept: Kept) -> str:
    """A video of two workers beside one of one process."""
    cost = kept.found["cost"]
    milliseconds = cost["milliseconds"]
    rows = [
        ["a video of one process alone, one thread", f"{milliseconds['alone']:.0f} ms"],
        ["of two such processes at once, each with its share", f"{milliseconds['two at once']:.0f} ms"],
        ["of two workers under Ray", f"{milliseconds['two under Ray']:.0f} ms"],
        [f"Ray over half of one process, {cost['rounds']} paired rounds", f"{cost['over_half_of_one']:.3f}"],
        ["Ray over two processes at once", f"{cost['over_two_at_once']:.3f}"],
    ]
    return table(["what", "measured"], rows)


def stages_table(kept: Kept) -> str:
    """Seconds of each stage of a video, and the memory."""
    rows = [[stage, f"{seconds:.2f} s"] for stage, seconds in kept.found["seconds"].items()]
    rows.append(["peak memory", f"{kept.found['peak_mib']:.0f} MiB"])
    return table(["stage", f"on {kept.found['threads']} thread"], rows)
