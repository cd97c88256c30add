"""What a translator returns: a text for each text."""

import json

from lbkd.registry.errors import PluginError
from lbkd.translation import Translator, registry, translations

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
    found = translations(translator, _TEXTS, source, target)
    with registry.told(translator, "`fingerprint`"):
        fingerprint = translator.fingerprint(source, target)
    try:
        json.dumps(fingerprint)
    except (TypeError, ValueError) as error:
        raise PluginError(f"{who}: `fingerprint` returns what is no JSON: {error}.") from error
    return found
