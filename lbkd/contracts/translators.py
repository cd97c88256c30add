"""What a translator returns: a text for each text."""

import json
from collections.abc import Sequence

from lbkd.registry.errors import PluginError
from lbkd.translation import Translator, registry

_TEXTS = ("The bridge was built in 1820.", "Who built the bridge?")


def try_translator(translator: Translator, source: str, target: str) -> list[str]:
    """Let a translator translate two short English texts; its translations.

    Raises:
        ConfigError: the translator cannot translate the pair of languages.
        PluginError: it raises, or returns something else.
    """
    who = registry.described(translator)
    with registry.told(translator, "`check`"):
        translator.check(source, target)
    with registry.told(translator, "`translate`"):
        found = translator.translate(list(_TEXTS), source, target)
        if isinstance(found, str) or not isinstance(found, Sequence):
            raise PluginError(
                f"{who}: `translate` returns a {type(found).__name__}; needed is a list of texts."
            )
    if len(found) != len(_TEXTS):
        raise PluginError(f"{who}: `translate` returns {len(found)} texts for {len(_TEXTS)}.")
    for n, text in enumerate(found):
        if not isinstance(text, str):
            raise PluginError(
                f"{who}: `translate` returns {text!r} for text {n}; needed is a text, maybe empty."
            )
    with registry.told(translator, "`fingerprint`"):
        fingerprint = translator.fingerprint(source, target)
    try:
        json.dumps(fingerprint)
    except (TypeError, ValueError) as error:
        raise PluginError(f"{who}: `fingerprint` returns what is no JSON: {error}.") from error
    return list(found)
