"""Whether requests are traced: where the environment asks for it, and the extra `otel` is installed."""

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it brings the SDK, which is an extra
    from service.spans import Spans

ASKING = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

log = logging.getLogger(__name__)


def is_wanted(environment: Mapping[str, str]) -> bool:
    """By the standard variables; without any nothing is sent anywhere."""
    disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not disabled and environment.get("OTEL_TRACES_EXPORTER") != "none" and any(map(environment.get, ASKING))


def spans_of(environment: Mapping[str, str] = os.environ) -> "Spans | None":
    """What makes the spans; None where nobody wants them, and where the extra is absent."""
    if not is_wanted(environment):
        return None
    try:
        from service.spans import Spans, make_provider
    except ImportError:
        log.warning("OTEL_... asks for traces, but the SDK is not installed: install the extra otel")
        return None
    return Spans(make_provider(environment))
