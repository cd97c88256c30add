"""Options that are secrets: settings name environment variables, which hold the values."""

import os
from collections.abc import Mapping
from typing import Any

from lbkd.errors import ConfigError

_SECRETS = ("key", "token", "password", "secret")


def is_secret(name: str) -> bool:
    """True for an option whose name ends in `key`, `token`, `password` or `secret`, as `api_key` does.

    The setting of such an option is the name of an environment variable, which holds the option's value. The
    value is given to the constructor alone, and written nowhere.
    """
    return name.lower().endswith(_SECRETS)


def secret_values(options: Mapping[str, Any], section: str) -> dict[str, str]:
    """The values of all secrets among the options that are set, from the environment variables they name.

    Args:
        options: settings by name; a secret is set to `NAME` or `$NAME`.
        section: where in the settings the options are set, for messages.

    Raises:
        ConfigError: a secret's setting is not the name of an environment variable; it is not shown, since it
            may be the secret itself.
    """
    found = {}
    for option, setting in options.items():
        if is_secret(option) and setting not in (None, ""):
            variable = setting.removeprefix("$") if isinstance(setting, str) else ""
            if variable not in os.environ:
                raise ConfigError(
                    f"{section}.{option} must name an environment variable that holds the value, and what "
                    f"is set names none. Export the value, for example as {option.upper()}, and set "
                    f"{section}.{option}={option.upper()}: settings are written into results, values are not."
                )
            found[option] = os.environ[variable]
    return found
