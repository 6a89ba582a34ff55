"""LiteLLM's proxy, with a model that answers without a network."""

import os
from pathlib import Path

MODELS = """
model_list:
- model_name: seven
  litellm_params: {model: openai/seven, api_key: none, mock_response: seven eight nine}
"""
Path("config.yaml").write_text(MODELS)
os.environ["CONFIG_FILE_PATH"] = "config.yaml"  # read as the app starts
os.environ["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"  # otherwise it does not start without a key

from litellm.proxy.proxy_server import app  # noqa: E402 - it reads the environment

import instrumentation  # noqa: E402 - as above

instrumentation.instrument(app)
