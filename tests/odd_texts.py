"""Texts that tokenizers and aligners stumble over."""

ODD_TEXTS = (
    "  two  spaces ",
    "tab\tline\nend\r\n",
    "ﬁne ½ ①② … ﷺ",
    "Ａｂｃ ｱｲｳ",
    "cafe\u0301 a\u0323\u0307 a\u0307\u0323",
    "soft\u00adhyphen zero\u200bwidth \ufeffmark \u200djoiner",
    "\u0001control\u007f",
    "한글 \u1112\u1161\u11ab",
    "ไทย ที่นี่ 日本語、中文。",
    "x<mask>y </s> z",
    "emoji 😀👩‍👩‍👧 ꙮ",
)
