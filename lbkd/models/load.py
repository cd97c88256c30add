"""Pretrained encoders and trained span models, as plain Hugging Face folders."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from lbkd.errors import ConfigError, naming_full_disk, out_of_memory, reason_of
from lbkd.models import e5_small
from lbkd.models.heads import OwnHead, span_class
from lbkd.models.span import exact_head
from lbkd.workspace import read_json, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


def commit_of(name: str, revision: str | None = None, trust: bool = False) -> str | None:
    """The commit of a hub model that a revision means now; None for folders and `e5-small`.

    All functions here take `name@commit` for a hub model, too.

    Args:
        name: a folder, a hub id, or `e5-small`.
        revision: branch, tag or commit of a hub model; None: its main branch.
        trust: run Python code that comes with a hub model.

    Raises:
        ConfigError: no such model or revision; a revision of a folder or of `e5-small`.
    """
    if name == e5_small.NAME or Path(name).is_dir():
        if revision is not None:
            raise ConfigError(f"model.revision = {revision!r}: only hub models have one; {name!r} is none.")
        return None
    from transformers.utils.hub import cached_file

    load_config(f"{name}@{revision}" if revision else name, trust)  # tells what is wrong, where anything is
    file = Path(str(cached_file(name, "config.json", revision=revision)))
    return file.parent.name  # the cache keeps the files of a commit in a folder of its name


def save(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    folder: Path,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write model and tokenizer as a plain Hugging Face folder, which loads in transformers 4 and 5.

    Args:
        model: with its config.
        tokenizer: the model's.
        folder: the folder.
        weights: the weights to write; None: those of the model.

    Raises:
        FullDiskError: the disk is full; it tells how much the weights take.
    """
    from transformers.dynamic_module_utils import custom_object_save

    _quiet()
    encoder, config = model.base_model, cast("Any", model.config)
    if isinstance(model, OwnHead) and encoder._auto_class is not None:  # with Python code of its own
        folder.mkdir(parents=True, exist_ok=True)
        custom_object_save(encoder, folder, config=config)
    state = None if weights is None else dict(weights)
    tensors = (state or model.state_dict()).values()
    needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    with naming_full_disk(folder / "model.safetensors", needed=needed):
        model.save_pretrained(folder, state_dict=state)
        tokenizer.save_pretrained(folder)
    about = folder / "tokenizer_config.json"
    write_json(about, _understood_by_transformers_4(read_json(about)))


def _understood_by_transformers_4(config: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer's config by the names of transformers 4, which transformers 5 takes, too."""
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(config.get("extra_special_tokens"), list):
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    return config


def load_encoder(name: str, trust: bool = False) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """An encoder and its tokenizer; a span head that was saved with the encoder is loaded, too."""
    from transformers import AutoModel

    config = load_config(name, trust)
    kind = span_class(config, trust) if has_span_head(config) else AutoModel
    model = _load(kind, name, trust, config=config, use_safetensors=True)
    return model, load_tokenizer(name, trust)


def has_span_head(config: "PreTrainedConfig") -> bool:
    """True if a model was saved with start and end logits, by a class of transformers or of its own."""
    own = (getattr(config, "auto_map", None) or {}).get("AutoModelForQuestionAnswering", "")
    kinds = config.architectures or ()
    return any("QuestionAnswering" in kind or own.endswith(f".{kind}") for kind in kinds)


def load_span_model(
    name: str,
    trust: bool = False,
    dropout: float | None = None,
    device: torch.device | str = "cpu",
    layers: int | Sequence[int] | None = None,
) -> "PreTrainedModel":
    """A model with start and end logits, in float32; the head is new (random) if the folder has none.

    Args:
        name: a folder or a hub id; its weights must be safetensors.
        trust: run Python code that comes with a hub model.
        dropout: replaces every dropout probability of the model's config, unless None.
        device: the device of the loaded model.
        layers: layers of the encoder to keep, see `chosen_layers`; None: all.

    Raises:
        ConfigError: a folder or hub model that is missing or that lbkd cannot use, or whose weights are not
            all there; see `span_class` and `keep_layers`.
    """
    from lbkd.models.attention import fused_attention
    from lbkd.models.layers import keep_layers

    config = load_config(name, trust)
    if dropout is not None:
        for key, value in config.to_dict().items():
            if "dropout" in key and isinstance(value, int | float):
                setattr(config, key, dropout)
    if hasattr(config, "use_cache"):
        config.use_cache = False  # no generation: keys and values of decoders are not kept
    model = _span_model(name, trust, config)
    try:
        model.get_input_embeddings()
    except NotImplementedError as error:
        raise ConfigError(
            f"model {name!r}: {config.model_type} has no word vectors, which lbkd freezes, trims and counts. "
            "Name a model with a vocabulary, such as XLM-R, multilingual BERT or e5-small."
        ) from error
    if layers is not None:
        model = keep_layers(model, layers)
    fused_attention(model)
    exact_head(model)
    torch.nn.Module.to(model, device)
    return model


def _span_model(name: str, trust: bool, config: "PreTrainedConfig") -> "PreTrainedModel":
    """A span model with all weights from `name`, but for a head where there is none."""
    from transformers import AutoModel

    options = {"dtype": torch.float32, "use_safetensors": True, "output_loading_info": True}
    model: PreTrainedModel
    model, told = _load(span_class(config, trust), name, trust, config=config, **options)
    missing, encoder = set(told["missing_keys"]), model.base_model
    if not has_span_head(config):
        own = {f"{model.base_model_prefix}.{key}" for key in encoder.state_dict()}
        missing &= own
        if missing:  # e.g. Llama's class for question answering has other names than Llama's weights
            whole, told = _load(AutoModel, name, trust, config=config, **options)
            encoder.load_state_dict(whole.state_dict(), strict=False)
            missing = set(told["missing_keys"]) & encoder.state_dict().keys()
    if missing:
        raise ConfigError(
            f"model {name!r}: its weights lack {len(missing)} tensors of a {type(model).__name__}, such as "
            f"{min(missing)}, which would be random. Name a folder whose weights belong to its config.json."
        )
    return model


def load_masked_language_model(name: str, trust: bool = False) -> "PreTrainedModel":
    """A masked language model in float32; its head is new (random) if the folder has none.

    The head of `e5-small`, and of every model with a trimmed vocabulary, is new except for the word vectors,
    which head and encoder share.
    """
    from transformers import AutoModelForMaskedLM

    options = {"dtype": torch.float32, "use_safetensors": True}
    model: PreTrainedModel = _load(AutoModelForMaskedLM, name, trust, **options)
    return model


def load_config(name: str, trust: bool = False) -> "PreTrainedConfig":
    """The configuration of a folder or hub model."""
    from transformers import AutoConfig

    config: PreTrainedConfig = _load(AutoConfig, name, trust)
    return config


def load_tokenizer(name: str, trust: bool = False) -> "PreTrainedTokenizerBase":
    """The tokenizer of a folder or hub model; ConfigError where there is none."""
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = _load(AutoTokenizer, name, trust)
    special = set(tokenizer.all_special_tokens)
    if tokenizer.get_vocab().keys() <= special:  # made up by transformers for lack of a file
        raise ConfigError(
            f"model {name!r}: there is no vocabulary; add the tokenizer.json that belongs to it."
        )
    return tokenizer


def longest_input(config: "PreTrainedConfig", tokenizer: "PreTrainedTokenizerBase") -> int:
    """Most tokens that a model reads at once, special tokens included."""
    limit: int = tokenizer.model_max_length
    positions: int = getattr(config, "max_position_embeddings", limit)
    if positions < 0:  # XLNet's way to say that there is no limit
        return limit
    if any(family in config.model_type for family in ("roberta", "camembert")):
        positions -= config.pad_token_id + 1  # positions are counted from there
    return min(limit, positions)


def language_numbers(
    config: "PreTrainedConfig", tokenizer: "PreTrainedTokenizerBase"
) -> dict[str, int] | None:
    """Language -> its row in the model's language embeddings; None for a model without them.

    Raises:
        ConfigError: a model whose language embeddings have no names.
    """
    if not getattr(config, "use_lang_emb", False) or getattr(config, "n_langs", 1) < 2:
        return None
    numbers = getattr(config, "lang2id", None) or getattr(tokenizer, "lang2id", None)
    if not numbers:
        raise ConfigError(
            f"model {config.name_or_path!r}: it has {config.n_langs} language embeddings, but neither its "
            'config.json nor its tokenizer_config.json tells which is whose. Add "lang2id" to config.json: '
            'an object like {"en": 0, "es": 1}.'
        )
    return dict(numbers)


def _load(kind: Any, name: str, trust: bool, **options: Any) -> Any:
    """The result of `kind.from_pretrained`; every error but a lack of memory becomes a ConfigError."""
    from transformers.utils import logging as transformers_logging

    _quiet()
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)  # no warning that a head is new
    place, _, revision = (name, "", "") if Path(name).is_dir() else name.partition("@")
    if revision:
        options["revision"] = revision
    try:
        return kind.from_pretrained(place, trust_remote_code=trust, **options)
    except Exception as error:  # damaged files raise all sorts, down to a bare Exception
        if out_of_memory(error):
            raise
        if isinstance(error, ImportError) and "sacremoses" in str(error):
            raise ConfigError(
                f"model {name!r}: its tokenizer needs the package sacremoses, which is not installed. "
                'Install it with `pip install "lbkd[xlm]"`.'
            ) from error
        if "trust_remote_code" in str(error):
            raise ConfigError(
                f"model {name!r}: comes with Python code of its own, which is not run unless you trust it: "
                "--set model.trust_remote_code=true, or trust_remote_code=True for an Answerer."
            ) from error
        where = "folder" if Path(name).is_dir() else "folder or hub model"
        raise ConfigError(
            f"model {name!r}: no usable {where}: {reason_of(error)} "
            "Name a folder with config.json, weights (safetensors) and tokenizer, a hub id, or e5-small."
        ) from error
    finally:
        transformers_logging.set_verbosity(level)


def _quiet() -> None:
    """Hide the progress bars of transformers: only the command line prints."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
