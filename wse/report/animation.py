"""Activity over time as a moving picture: one frame per bin of Run.activity.

The axes are drawn once by matplotlib; each frame is then only an array of palette indices pasted into that picture,
some twenty times faster than drawing every frame.  GIF through Pillow; MP4 by piping the frames to ffmpeg.
"""

import shutil
import subprocess

import numpy as np

from .. import files
from ..errors import ConfigError
from . import figure as base
from . import text, timeline

SHADES, GREYS = 224, 32  # palette: the color map, then greys from black to white
MILLISECONDS = 90  # a frame
LONGEST = 7.0  # inches of the map's longer side
DPI = 100


def write(run, path):
    """Writes the animation to `path`, .gif or .mp4."""
    frames = list(compose(run))
    if path.suffix.lower() == ".mp4":
        write_mp4(frames, path)
    else:
        write_gif(frames, path)


def compose(run):
    """Frames as uint8 arrays of palette indices."""
    if run.activity is None:
        raise ConfigError(
            "this run has no activity per PE: record it (`wse run ... --plot FILE.gif`, or Fabric(..., activity=True))"
        )
    shares = activity(run)
    vmax = float(shares.max(initial=0)) or 1.0
    backdrop, box, label, strip = stage(run, vmax)
    lengths = text.bin_lengths(run)
    ends = np.cumsum(lengths)
    top, left, height, width = box
    for share, end, length in zip(shares, ends, lengths, strict=True):
        frame = backdrop.copy()
        frame[top : top + height, left : left + width] = cells(share / vmax, height, width)
        write_text(frame, label, f"cycle {end - length:,} to {end:,}")
        mark(frame, strip, end / run.cycles)
        yield frame


def activity(run):
    """Busy share of each PE in each bin that the run reached."""
    lengths = text.bin_lengths(run)
    return np.minimum(run.activity[: len(lengths)] / lengths[:, None, None], 1.0)


def cells(levels, height, width):
    """A plane of 0..1 as palette indices, scaled to the box: means where PEs are smaller than pixels."""
    from PIL import Image

    image = Image.fromarray(np.asarray(levels, dtype=np.float32))
    tall, wide = levels.shape
    image = image.resize((min(wide, width), min(tall, height)), Image.Resampling.BOX)
    image = image.resize((width, height), Image.Resampling.NEAREST)
    return np.clip(np.rint(np.asarray(image) * (SHADES - 1)), 0, SHADES - 1).astype(np.uint8)


def stage(run, vmax):
    """(backdrop as palette indices, box of the map, place of the label, box of the time line); a box is (top, left,
    height, width)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    width, height = base.fit(run, LONGEST)
    fig = base.new(max(width + 1.9, 6.0), height + 2.6, run)
    fig.set_dpi(DPI)
    canvas = FigureCanvasAgg(fig)
    axes, strip = fig.subplots(2, 1, height_ratios=[max(height, 2), 0.8])
    image = axes.imshow(
        np.zeros((run.height, run.width), dtype=np.float32),
        cmap=base.HEAT,
        vmin=0,
        vmax=vmax,
        extent=(-0.5, run.width - 0.5, run.height - 0.5, -0.5),
        aspect="auto" if max(run.width, run.height) > base.ELONGATED * min(run.width, run.height) else "equal",
    )
    base.grid_axes(axes, run.width, run.height)
    axes.set_title(" ", fontsize=11)  # the place of the label that each frame writes
    bar = fig.colorbar(image, ax=axes, shrink=0.9, pad=0.02, aspect=30)
    bar.set_label("busy share of a bin's cycles", fontsize=9)
    bar.ax.yaxis.set_major_formatter(base.percent_ticks(vmax))
    edges, rates = timeline.series(run)
    strip.stairs(rates[0] / (run.width * run.height), edges, fill=True, color="#BBBBBB")
    strip.set_xlim(0, run.cycles)
    strip.set_ylim(0, None)
    strip.yaxis.set_major_formatter(base.percent_ticks(vmax))
    base.si_ticks(strip.xaxis)
    strip.set_xlabel("cycle", fontsize=9)
    strip.set_ylabel("busy", fontsize=9)
    base.tidy(strip)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    key = Image.new("P", (1, 1))
    key.putpalette(palette().tobytes())
    backdrop = np.asarray(picture.quantize(palette=key, dither=Image.Dither.NONE)).copy()
    total = picture.height
    place = axes.title.get_window_extent()
    return backdrop, pixels(axes, total), (round(total - place.y1) - 2, pixels(axes, total)[1]), pixels(strip, total)


def pixels(axes, total):
    """(top, left, height, width) of the inside of axes, counted from the top."""
    box = axes.get_window_extent()
    top, left = round(total - box.y1) + 1, round(box.x0) + 1
    return top, left, round(total - box.y0) - top, round(box.x1) - left


def palette():
    """uint8 [256, 3]: the color map, then greys."""
    from matplotlib import colormaps

    shades = colormaps[base.HEAT](np.linspace(0, 1, SHADES))[:, :3]
    greys = np.repeat(np.linspace(0, 1, GREYS)[:, None], 3, axis=1)
    return np.rint(np.concatenate([shades, greys]) * 255).astype(np.uint8)


def write_text(frame, place, words):
    """Words at (top, left), smoothed with the palette's greys."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 15)
    top, left = place
    room = Image.new("L", (min(330, frame.shape[1] - left), 20), 255)
    ImageDraw.Draw(room).text((0, 0), words, fill=30, font=font)
    ink = np.asarray(room)
    area = frame[top : top + ink.shape[0], left : left + ink.shape[1]]
    area[:] = SHADES + np.rint(ink[: area.shape[0], : area.shape[1]] / 255 * (GREYS - 1)).astype(np.uint8)


def mark(frame, box, share):
    """A vertical line in the time line, at this share of the run."""
    top, left, height, width = box
    x = left + min(width - 1, round(share * (width - 1)))
    frame[top : top + height, max(left, x - 1) : x + 1] = SHADES


def write_gif(frames, path):
    """Palette frames as they are: nothing is quantized again."""
    from PIL import Image

    colors = palette().tobytes()
    images = []
    for frame in frames:
        image = Image.frombytes("P", (frame.shape[1], frame.shape[0]), frame.tobytes())
        image.putpalette(colors)
        images.append(image)
    durations = [MILLISECONDS] * (len(images) - 1) + [1200]
    try:
        with files.replacing(path) as file:
            images[0].save(
                *(file, "GIF"), save_all=True, append_images=images[1:], duration=durations, loop=0, optimize=False
            )
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def write_mp4(frames, path):
    """Frames as RGB through ffmpeg."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise ConfigError(
            f"cannot write {str(path)!r}: MP4 needs ffmpeg, and there is none on the PATH; use a name ending in .gif"
        )
    height, width = (side // 2 * 2 for side in frames[0].shape)  # the encoder wants even sides
    command = [ffmpeg, "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    command += ["-r", f"{1000 / MILLISECONDS:.3f}", "-i", "-", "-pix_fmt", "yuv420p"]
    colors = palette()
    data = b"".join(colors[frame[:height, :width]].tobytes() for frame in frames)
    try:
        with files.replacing_path(path) as fresh:
            done = subprocess.run([*command, str(fresh)], input=data, capture_output=True, check=False)
            if done.returncode:
                words = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
                raise ConfigError(f"cannot write {str(path)!r}: ffmpeg failed: {words[-1]}")
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror or error}") from None
