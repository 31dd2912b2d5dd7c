"""`swc train`."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import UsageError
from .options import Command, device_option

EXAMPLES = (
    ("swc train recordings/ --run runs/first --minutes 60", "Trains new weights for an hour."),
    (
        "swc train recordings/ --run runs/more --minutes 60 --resume runs/first/weights.safetensors",
        "Continues for another hour.",
    ),
    (
        "swc train recordings/ --run runs/big --config recipe.toml --steps 400000 --device cuda",
        "Trains with a recipe on a GPU.",
    ),
)
_PATH = click.Path(path_type=Path, readable=False)


@click.command(cls=Command, examples=EXAMPLES, short_help="Train weights on a folder of audio.")
@click.argument("data", metavar="DATA", type=_PATH)
@click.option(
    "--run",
    metavar="DIR",
    type=_PATH,
    required=True,
    help="Output folder for weights.safetensors and log.csv.",
)
@click.option("--config", metavar="TOML", type=_PATH, help="Training recipe.")
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), metavar="M", help="Duration of the training."
)
@click.option("--steps", type=click.IntRange(1), metavar="N", help="Number of training steps.")
@click.option("--resume", metavar="NAME|PATH", help="Weights to continue from.")
@device_option
@click.option(
    "--seed", type=int, metavar="N", default=0, show_default=True, help="Seed of the random numbers."
)
@click.option(
    "--cache",
    metavar="DIR",
    type=_PATH,
    help="Folder for the decoded audio.  [default: a folder for DATA in the user's cache folder]",
)
@click.option(
    "--no-compile", is_flag=True, help="Do not compile the networks: training starts at once but is slower."
)
def train(
    data: Path,
    run: Path,
    config: Path | None,
    minutes: float | None,
    steps: int | None,
    resume: str | None,
    device: str,
    seed: int,
    cache: Path | None,
    no_compile: bool,
) -> int:
    """Train weights on a folder of audio.

    The folders speech, music and sound in DATA are sampled in the proportions of the recipe. All audio is
    decoded once into a cache. The weights are saved every ten minutes and at the end; Ctrl-C stops the
    training and saves them.
    """
    if minutes is None and steps is None:
        raise UsageError("the length of the training is missing: give --minutes or --steps")
    if not data.is_dir():
        raise UsageError(f"{data}: no such folder")
    if run.exists() and not run.is_dir():
        raise UsageError(f"{run}: is a file, not a folder")
    from ..training.config import read_config

    recipe = read_config(config)

    from ..model.device import choose_device
    from ..model.weights_info import count_parameters, read_weights
    from ..model.weights_registry import find_weights
    from ..training.data import default_cache, prepare_pool
    from ..training.trainer import Trainer
    from ..training.weight_norm import without_weight_norm

    chosen_device = choose_device(device)
    resume_path = None if resume is None else find_weights(resume)
    model = recipe.model if resume_path is None else read_weights(resume_path).info.config
    cache = cache or default_cache(data, model.sample_rate)
    prepare_pool(data, cache, model.sample_rate, report=click.echo)
    trainer = Trainer(
        recipe,
        cache,
        run,
        device=str(chosen_device),
        seed=seed,
        resume=resume_path,
        compiled=not no_compile,
        report=click.echo,
    )
    parameters = count_parameters(without_weight_norm(trainer.model).state_dict())
    click.echo(
        f"{trainer.pool.hours:.2f} hours of audio, {parameters / 1e6:.1f} M parameters, on {chosen_device}; "
        f"log in {run / 'log.csv'}"
    )
    weights = trainer.train(minutes, steps)
    click.echo(f"weights in {weights} after {trainer.step} steps; log in {run / 'log.csv'}")
    return 0
