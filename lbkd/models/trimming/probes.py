"""What a cut vocabulary costs, language by language, in pieces per character."""

from typing import TYPE_CHECKING

from lbkd.models.trimming.trim import backend_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROBES = {
    "ar": "بُني الجسر القديم فوق النهر يدويا ويمكن للجميع عبوره سيرا على الأقدام كل يوم.",
    "de": "Die alte Brücke über den Fluss wurde von Hand gebaut, und jeder darf sie täglich überqueren.",
    "el": "Η παλιά γέφυρα πάνω από το ποτάμι χτίστηκε με το χέρι και όλοι τη διασχίζουν κάθε μέρα.",
    "en": "The old bridge over the river was built by hand, and everyone may cross it on foot every day.",
    "es": "El viejo puente sobre el río fue construido a mano y todos pueden cruzarlo a pie cada día.",
    "fr": "Le vieux pont sur la rivière a été construit à la main, et chacun peut le traverser chaque jour.",
    "hi": "नदी पर बना पुराना पुल हाथ से बनाया गया था और हर कोई उसे रोज़ पैदल पार कर सकता है।",
    "ja": "川にかかる古い橋は手作業で造られ、誰でも毎日歩いて渡ることができます。",
    "ko": "강 위의 오래된 다리는 손으로 지어졌고 누구나 매일 걸어서 건널 수 있습니다.",
    "ro": "Podul vechi de peste râu a fost construit manual și oricine îl poate traversa în fiecare zi.",
    "ru": "Старый мост через реку был построен вручную, и каждый может ходить по нему пешком каждый день.",
    "th": "สะพานเก่าข้ามแม่น้ำสร้างด้วยมือและทุกคนสามารถเดินข้ามได้ทุกวัน",
    "tr": "Nehrin üzerindeki eski köprü elle yapıldı ve herkes her gün yürüyerek geçebilir.",
    "vi": "Cây cầu cũ bắc qua sông được xây bằng tay và mọi người có thể đi bộ qua mỗi ngày.",
    "zh": "河上的老桥是手工建造的，每个人每天都可以步行过桥。",
}
"""Language -> a sentence that no corpus has; all say much the same."""

_LOST = 1.1
"""Ratio of pieces, cut to whole, from which on a language is named as one that loses."""


def pieces_per_character(tokenizer: "PreTrainedTokenizerBase") -> dict[str, float]:
    """Language -> pieces per character of its probe."""
    encoded = backend_of(tokenizer).encode_batch([*PROBES.values()], add_special_tokens=False)
    return {
        language: len(encoding.ids) / len(text)
        for (language, text), encoding in zip(PROBES.items(), encoded, strict=True)
    }


def price_of_cut(whole: dict[str, float], cut: dict[str, float]) -> str:
    """A message that names the languages which a cut vocabulary reads in smaller pieces, worst first.

    Args:
        whole: `pieces_per_character` before the cut.
        cut: `pieces_per_character` after the cut.
    """
    ratios = {language: cut[language] / whole[language] for language in whole}
    lost = sorted((name for name in ratios if ratios[name] >= _LOST), key=lambda name: -ratios[name])
    if not lost:
        return f"The cut vocabulary reads {', '.join(whole)} in the pieces that the whole one has."
    shown = ", ".join(f"{name} {whole[name]:.2f} -> {cut[name]:.2f}" for name in lost)
    return (
        f"Pieces per character, whole -> cut vocabulary: {shown}. In these languages the cut model reads "
        "mere letters where it knew words, and answers worse. Keep more frequent pieces, or add texts."
    )
