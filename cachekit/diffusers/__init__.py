"""Any diffusers pipeline: one adapter for transformers, a clock that follows the pipeline, `enable`, `disable`."""
