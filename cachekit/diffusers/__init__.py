"""Any diffusers pipeline: one adapter for its transformers, a clock that follows the pipeline, `enable` and `disable`."""
