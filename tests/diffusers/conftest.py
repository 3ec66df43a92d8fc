"""What the diffusers tests share: pipelines made small, and what a fresh one gives."""

from __future__ import annotations

import pytest

pytest.importorskip("diffusers", reason="these need diffusers: pip install 'cachekit-dit[diffusers]'")
