"""What the tests of storage share: the weights, and a way to connect anew."""

from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden" / "spectral.safetensors"


def forget_connections() -> None:
    """Let fsspec read the environment again."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
