from tests.encoders.conftest import whispers

__all__ = ["whispers"]
