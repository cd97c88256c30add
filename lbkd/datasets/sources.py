"""Addresses, sizes and checksums of public datasets, and the places of their files in a data folder.

Sizes and checksums of SQuAD, XQuAD and MLQA are from TensorFlow Datasets, those of translate-train from
Hugging Face Datasets, and those of XQuAD's Romanian file, which is in neither list, from XQuAD's repository.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from lbkd.errors import ConfigError, nearest


@dataclass(frozen=True)
class Source:
    """One file to fetch: a data file, or an archive of data files."""

    address: str
    size: int
    """Bytes."""
    sha256: str
    places: Mapping[str, str]
    """Name of an archive's member to its place in the data folder; a data file is its only member, ''."""

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.address.rpartition("/")[2]


@dataclass(frozen=True)
class PublicDataset:
    """The files of one public dataset."""

    name: str
    licence: str
    sources: tuple[Source, ...]
    settings: Mapping[str, str]
    """Place in the data folder to text of a settings file, which is written unless it exists already."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages of the files, in the files' order."""
        places = [place for source in self.sources for place in source.places.values()]
        return tuple(dict.fromkeys(language for place in places for language in languages_of(place)))

    def only(self, languages: Collection[str]) -> "PublicDataset":
        """The dataset without the files of other languages; a file of a pair needs both.

        Raises:
            ConfigError: no language, or one that the dataset lacks.
        """
        if not languages:
            raise ConfigError(f"no language is named; {self.name} has {', '.join(self.languages)}.")
        for language in languages:
            if language not in self.languages:
                raise ConfigError(f"{self.name} has no {language!r}; {nearest(language, self.languages)}")
        wanted = [
            replace(
                source,
                places={
                    member: place
                    for member, place in source.places.items()
                    if languages_of(place) <= set(languages)
                },
            )
            for source in self.sources
        ]
        return replace(self, sources=tuple(source for source in wanted if source.places))


def languages_of(place: str) -> set[str]:
    """The languages that a place names, as in `squad/dev.es.json` and `…/dev-context-de-question-es.json`."""
    return {*re.findall(r"[.-]([a-z]{2})(?=[.-])", place)}


MLQA_LANGUAGES = ("en", "es", "de", "ar", "hi", "vi", "zh")
MLQA_SPLITS = ("dev", "test")
XQUAD_LANGUAGES = ("en", "es", "de", "el", "ru", "tr", "ar", "vi", "th", "zh", "hi", "ro")

_SQUAD = "https://rajpurkar.github.io/SQuAD-explorer/dataset"
_MLQA = "https://dl.fbaipublicfiles.com/MLQA"
_XQUAD = "https://raw.githubusercontent.com/google-deepmind/xquad/7d30520c717524000f0d9d2f9c10a069acd9d285"
"""A commit, whose files never change: those of the first release, and Romanian."""

_XQUAD_FILES = {
    "ar": (1582988, "abdabd7afed5c635d99cca0f3f0d0c9d9ed0bc77451e963c2e4e0638c29e486d"),
    "de": (669810, "990b5d746746ed65ed4702ea5f35f99ffa4e2f1c390c07d003642acd937916f9"),
    "el": (1918889, "821cf0f88e73fa258fd2f548b19b6ec39f7025059e16f6f9fc8cd797c9c3663e"),
    "en": (609383, "e4c57d1c9143aaa1c5d265ba5987a65f4e69528d2a98f29d6e75019b10344f29"),
    "es": (684322, "dcbae93ec3a9f4b9e78fd834a171d6f96c1a875e10e15b7530b7e4ef4971e37e"),
    "hi": (1680538, "df2cce3532b37e9beb8979704b5c9a4bf874358f105395a298b89427b43b9d24"),
    "ro": (661158, "94f8d54e93ad2b7dd2e76dd921a666b5b8eff2d4379df9f179c42b445f09643f"),
    "ru": (1896368, "208d5b1aa154c52b1b5c5eda16281e455e8fd198cdb9af3f469f0d6037d973bf"),
    "th": (1809143, "5cdda11d0e1e075f7872abf4e6ae830388ce7f617964d542308e9ae4257e0f43"),
    "tr": (729506, "92179a564774b7696100d144c1e10870d0a966b6fccbdd254a65b9d2ab1971cc"),
    "vi": (911401, "f619a1eb11fb42d3ab0834259e488a65f585447ef6154437bfb7199d85161a04"),
    "zh": (808652, "691d0b3359bc6b8faa8de931dfdfe21d50a65861ae348e32a0d1a0190b0c8835"),
}

_SQUAD_SETTINGS = {
    "squad/lbkd.toml": '# There is no public test set: models are scored on dev.\n[corpus]\ntest = "dev"\n'
}

DATASETS = {
    dataset.name: dataset
    for dataset in (
        PublicDataset(
            "squad",
            "CC BY-SA 4.0",
            (
                Source(
                    f"{_SQUAD}/train-v1.1.json",
                    30288272,
                    "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955",
                    {"": "squad/train.en.json"},
                ),
                Source(
                    f"{_SQUAD}/dev-v1.1.json",
                    4854279,
                    "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9",
                    {"": "squad/dev.en.json"},
                ),
            ),
            _SQUAD_SETTINGS,
        ),
        PublicDataset(
            "translate-train",
            "CC BY-SA 3.0",
            (
                Source(
                    f"{_MLQA}/mlqa-translate-train.tar.gz",
                    63364123,
                    "e510277b0bc3c0639f53839aba8591aebfe803b8b84c5c2ef0513768b86b7cf9",
                    {
                        f"mlqa-translate-train/{language}_squad-translate-train-{split}-v1.1.json": (
                            f"squad/{split}.{language}.json"
                        )
                        for split in ("train", "dev")
                        for language in MLQA_LANGUAGES
                        if language != "en"
                    },
                ),
            ),
            _SQUAD_SETTINGS,
        ),
        PublicDataset(
            "xquad",
            "CC BY-SA 4.0",
            tuple(
                Source(
                    f"{_XQUAD}/xquad.{language}.json",
                    *_XQUAD_FILES[language],
                    {"": f"xquad/xquad.{language}.json"},
                )
                for language in XQUAD_LANGUAGES
            ),
            {},
        ),
        PublicDataset(
            "mlqa",
            "CC BY-SA 3.0",
            (
                Source(
                    f"{_MLQA}/MLQA_V1.zip",
                    75719050,
                    "246e8089933d13007fe80684d5c5c0713d6834cf8b3b4a0ec7c66f0a0d2baac8",
                    {
                        f"MLQA_V1/{split}/{split}-context-{passage}-question-{question}.json": (
                            f"mlqa/{split}/{split}-context-{passage}-question-{question}.json"
                        )
                        for split in MLQA_SPLITS
                        for passage in MLQA_LANGUAGES
                        for question in MLQA_LANGUAGES
                    },
                ),
            ),
            {},
        ),
    )
}


def dataset(name: str) -> PublicDataset:
    """The public dataset with a name.

    Raises:
        ConfigError: there is no dataset with this name; the message lists the names.
    """
    if name not in DATASETS:
        raise ConfigError(f"no dataset {name!r} to download; {nearest(name, DATASETS)}")
    return DATASETS[name]
