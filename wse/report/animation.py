"""An animation of the activity over time, with one frame per bin of Run.activity.

matplotlib draws the axes once.  A frame is a copy of this picture with the map of the bin pasted in, as palette
indices; this is about twenty times faster than drawing each frame.  Pillow writes GIF files, ffmpeg MP4 files.
"""

import shutil
import subprocess

import numpy as np

from .. import files
from ..errors import ConfigError
from . import figure as base
from . import text, timeline

SHADES, _GREYS = 224, 32  # palette: the color map, then greys from black to white
_MILLISECONDS = 90  # duration of a frame
_LONGEST = 7.0  # length of the map's longer side, inches
_DPI = 100


def write(run, path):
    """Write the animation to a .gif or .mp4 file.

    path: a Path.  Raises ConfigError if the run has no activity, if the file cannot be written, and for .mp4 if there
    is no ffmpeg.
    """
    frames = list(compose(run))
    if path.suffix.lower() == ".mp4":
        _write_mp4(frames, path)
    else:
        _write_gif(frames, path)


def compose(run):
    """Yield the frames, uint8 [height, width] of palette indices.  Raises ConfigError if the run has no activity."""
    if run.activity is None:
        raise ConfigError(
            "this run has no activity per PE: record it (`wse run ... --plot FILE.gif`, or Fabric(..., activity=True))"
        )
    shares = activity(run)
    scale = base.whole_scale()
    backdrop, box, label, strip = stage(run)
    lengths = text.bin_lengths(run)
    ends = np.cumsum(lengths)
    top, left, height, width = box
    for share, end, length in zip(shares, ends, lengths, strict=True):
        frame = backdrop.copy()
        frame[top : top + height, left : left + width] = cells(scale(share), height, width)
        write_text(frame, label, f"cycle {end - length:,} to {end:,}")
        mark(frame, strip, end / run.cycles)
        yield frame


def activity(run):
    """float [bins, h, w]: busy share of each PE in each bin that the run reached."""
    lengths = text.bin_lengths(run)
    shares = run.activity[: len(lengths)] / (lengths[:, None, None] * run.activity_step)
    return np.minimum(np.repeat(shares, run.activity_step, axis=2)[:, :, : run.width], 1.0)


def cells(levels, height, width):
    """uint8 [height, width]: palette indices for levels of 0 to 1 per PE [h, w], scaled to the box.

    A pixel that covers several PEs shows their mean.
    """
    from PIL import Image

    image = Image.fromarray(np.asarray(levels, dtype=np.float32))
    tall, wide = levels.shape
    image = image.resize((min(wide, width), min(tall, height)), Image.Resampling.BOX)
    image = image.resize((width, height), Image.Resampling.NEAREST)
    return np.clip(np.rint(np.asarray(image) * (SHADES - 1)), 0, SHADES - 1).astype(np.uint8)


def stage(run):
    """(backdrop, box of the map, position of the label, box of the time line).

    backdrop: uint8 palette indices of the picture without the map.  A box is (top, left, height, width) in pixels.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    width, height = base.fit(run, _LONGEST)
    fig = base.new(max(width + 1.9, 6.0), height + 2.6, run)
    fig.set_dpi(_DPI)
    canvas = FigureCanvasAgg(fig)
    axes, strip = fig.subplots(2, 1, height_ratios=[max(height, 2), 0.8])
    image = axes.imshow(
        np.zeros((run.height, run.width), dtype=np.float32),
        cmap=base.HEAT,
        norm=base.whole_scale(),
        extent=(-0.5, run.width - 0.5, run.height - 0.5, -0.5),
        aspect="auto" if max(run.width, run.height) > base.ELONGATED * min(run.width, run.height) else "equal",
    )
    base.grid_axes(axes, run.width, run.height)
    axes.set_title(" ", fontsize=11)  # space for the label, which each frame draws
    bar = fig.colorbar(image, ax=axes, shrink=0.9, pad=0.02, aspect=30)
    bar.set_label("busy share of a bin's cycles", fontsize=9)
    base.whole_ticks(bar.ax.yaxis, share=True)
    edges, rates = timeline.series(run)
    strip.stairs(rates[0] / (run.width * run.height), edges, fill=True, color="#BBBBBB")
    strip.set_xlim(0, run.cycles)
    strip.set_ylim(0, None)
    strip.yaxis.set_major_formatter(base.percent_ticks(strip.get_ylim()[1]))
    base.si_ticks(strip.xaxis)
    strip.set_xlabel("cycle", fontsize=9)
    strip.set_ylabel("busy", fontsize=9)
    base.tidy(strip)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    key = Image.new("P", (1, 1))
    key.putpalette(_palette().tobytes())
    backdrop = np.asarray(picture.quantize(palette=key, dither=Image.Dither.NONE)).copy()
    total = picture.height
    place = axes.title.get_window_extent()
    return backdrop, _pixels(axes, total), (round(total - place.y1) - 2, _pixels(axes, total)[1]), _pixels(strip, total)


def _pixels(axes, total):
    """(top, left, height, width) of the inside of axes, in pixels from the top of a picture of height `total`."""
    box = axes.get_window_extent()
    top, left = round(total - box.y1) + 1, round(box.x0) + 1
    return top, left, round(total - box.y0) - top, round(box.x1) - left


def _palette():
    """uint8 [256, 3]: the palette: SHADES colors of the color map, then GREYS greys from black to white."""
    from matplotlib import colormaps

    shades = colormaps[base.HEAT](np.linspace(0, 1, SHADES))[:, :3]
    greys = np.repeat(np.linspace(0, 1, _GREYS)[:, None], 3, axis=1)
    return np.rint(np.concatenate([shades, greys]) * 255).astype(np.uint8)


def write_text(frame, place, words):
    """Draw text at place, (top, left) in pixels, antialiased with the greys of the palette."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 15)
    top, left = place
    label = Image.new("L", (min(330, frame.shape[1] - left), 20), 255)
    ImageDraw.Draw(label).text((0, 0), words, fill=30, font=font)
    ink = np.asarray(label)
    area = frame[top : top + ink.shape[0], left : left + ink.shape[1]]
    area[:] = SHADES + np.rint(ink[: area.shape[0], : area.shape[1]] / 255 * (_GREYS - 1)).astype(np.uint8)


def mark(frame, box, share):
    """Draw a vertical line in the time line, at this share of the run."""
    top, left, height, width = box
    x = left + min(width - 1, round(share * (width - 1)))
    frame[top : top + height, max(left, x - 1) : x + 1] = SHADES


def _write_gif(frames, path):
    """Write frames as GIF, with the palette as it is."""
    from PIL import Image

    colors = _palette().tobytes()
    images = []
    for frame in frames:
        image = Image.frombytes("P", (frame.shape[1], frame.shape[0]), frame.tobytes())
        image.putpalette(colors)
        images.append(image)
    durations = [_MILLISECONDS] * (len(images) - 1) + [1200]
    try:
        with files.replacing(path) as file:
            images[0].save(
                *(file, "GIF"), save_all=True, append_images=images[1:], duration=durations, loop=0, optimize=False
            )
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def _write_mp4(frames, path):
    """Write frames as MP4, with ffmpeg.  Raises ConfigError if there is no ffmpeg or it fails."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise ConfigError(
            f"cannot write {str(path)!r}: MP4 needs ffmpeg, which is not on the PATH; use a name that ends in .gif"
        )
    height, width = (side // 2 * 2 for side in frames[0].shape)  # the encoder needs even sides
    command = [ffmpeg, "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    command += ["-r", f"{1000 / _MILLISECONDS:.3f}", "-i", "-", "-pix_fmt", "yuv420p"]
    colors = _palette()
    data = b"".join(colors[frame[:height, :width]].tobytes() for frame in frames)
    try:
        with files.replacing_path(path) as fresh:
            done = subprocess.run([*command, str(fresh)], input=data, capture_output=True, check=False)
            if done.returncode:
                words = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
                raise ConfigError(f"cannot write {str(path)!r}: ffmpeg failed: {words[-1]}")
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror or error}") from None
