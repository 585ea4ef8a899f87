"""Texts of every script, every kind of emoji and every kind of link, to be counted by others.

`python texts.py | node count.mjs > counts.json` makes what the tests compare with.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from itertools import groupby

#: What scripts are called at the beginning of the names of their letters.
_NO_SCRIPTS = {"MODIFIER", "COMBINING", "FEMININE", "MASCULINE", "SQUARE", "CIRCLED", "FULLWIDTH"}

PROSE = [
    "Every person has the right to a life of their own.",
    "Chacun·e a droit à la vie, à la liberté… et à « l’égalité ».",
    "Jeder Mensch hat das Recht auf Leben – „Freiheit“ und Sicherheit.",
    "Kaikki ihmiset syntyvät vapaina ja tasavertaisina.",
    "Wszyscy ludzie rodzą się wolni i równi.",
    "Všichni lidé rodí se svobodní a sobě rovní.",
    "Minden emberi lény szabadon születik.",
    "Tất cả mọi người sinh ra đều được tự do.",
    "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.",
    "Allir menn eru bornir frjálsir og jafnir.",
    "Mae pawb yn cael eu geni’n rhydd ac yn gydradd.",
    "Saolaítear gach duine den chine daonna saor.",
    "Все люди рождаются свободными и равными.",
    "Всички хора се раждат свободни и равни.",
    "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι.",
    "Բոլոր մարդիկ ծնվում են ազատ ու հավասար։",
    "ყველა ადამიანი იბადება თავისუფალი.",
    "כל בני האדם נולדו בני חורין ושווים.",
    "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق.",
    "تمام انسان آزاد اور حقوق کے اعتبار سے برابر پیدا ہوئے ہیں۔",
    "تمام افراد بشر آزاد به دنیا می‌آیند.",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है।",
    "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা নিয়ে জন্মগ্রহণ করে।",
    "மனிதப் பிறவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்.",
    "ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును స్వతంత్రులు.",
    "ಎಲ್ಲಾ ಮಾನವರೂ ಸ್ವತಂತ್ರರಾಗಿಯೇ ಜನಿಸಿದ್ದಾರೆ.",
    "മനുഷ്യരെല്ലാവരും തുല്യാവകാശങ്ങളോടെ ജനിച്ചവരാണ്.",
    "සියලු මනුෂ්‍යයෝ නිදහස්ව උපත ලබා ඇත.",
    "เราทุกคนเกิดมาอย่างอิสระ",
    "ມະນຸດທຸກຄົນເກີດມາມີກຽດສັກສີ",
    "လူတိုင်းသည် တူညီလွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် မွေးဖွားလာသူများ ဖြစ်သည်။",
    "មនុស្សទាំងអស់ កើតមកមានសេរីភាព",
    "ཞི་བདེ་དང་རང་དབང་ལ་དགའ་བ།",
    "人人生而自由,在尊严和权利上一律平等。",
    "人皆生而自由；在尊嚴及權利上均各平等。",
    "すべての人間は、生まれながらにして自由であり、ﾊﾝｶｸも。",
    "모든 인간은 태어날 때부터 자유로우며",
    "ሰብዓዊ ፍጡራን ሁሉ ነጻ ናቸው።",
    "ᓱᕈᓯᑐᐃᓐᓇᐃᑦ ᐃᓅᓇᓱᐊᖅᑐᑦ",
    "ᎾᏂᎥ ᎠᏂᏴᏫ ᎨᏥᏳᎳᏅᎯ",
    "Хүн бүр төрж мэндлэхдээ эрх чөлөөтэй ᠮᠣᠩᠭᠣᠯ",
]

LINKS = [
    "https://commonthreads.org/2026/01/05/the-joins/",
    "http://commonthreads.org",
    "HTTPS://COMMONTHREADS.ORG/A",
    "ftp://commonthreads.org/a",
    "https://user:pass@commonthreads.org/a",
    "https://commonthreads.org:8443/a?b=c&d=e#f",
    "https://commonthreads.org/a_(b)_c",
    "(https://commonthreads.org/a)",
    "“https://commonthreads.org/a”",
    "https://commonthreads.org/a.",
    "https://commonthreads.org/a, and https://commonthreads.org/b; done",
    "https://commonthreads.org/ü/é/ñ",
    "https://commonthreads.org/日本語/です",
    "https://commonthreads.org/%E6%97%A5%E6%9C%AC",
    "https://bücher.de/liste",
    "https://xn--bcher-kva.de/liste",
    "https://日本語.jp/",
    "http://例え.テスト/",
    "https://россия.рф/путь",
    "https://example.中国/a",
    "https://localhost:8000/a",
    "http://127.0.0.1:8765/2026/01/05/the-joins/",
    "https://a.b.c.d.e.f.org/x",
    "https://a-b.org",
    "https://-a.org",
    "https://a_b.example.org",
    "https://t.co/abcdEFGH12",
    "https://t.co/abcdEFGH12/more/of/it",
    "care.social",
    "see care.social.",
    "care.social and care.social/plan and www.care.social",
    "a-very-long-name-of-a-house-by-itself.org",
    "care.social/a/very/long/path/that/goes/on/and/on?and=on",
    "wp.me/p1",
    "blog.dev/x",
    "node.js v4.17 e.g. i.e. a.m. p.m. 3.5",
    "socialcare.future",
    "a.newtld and another.unknownending/path",
    "https://a.newtld/a/path/that/is/long/enough/to/tell",
    "end.Next sentence.Here we go.Then",
    "commonthreads.org.uk",
    "co.uk",
    "commonthreads.org/über",
    "日本語commonthreads.org日本語",
    "日本語care.social/path日本語",
    "-commonthreads.org",
    "_commonthreads.org",
    "/commonthreads.org",
    "@commonthreads.org",
    "#commonthreads.org",
    "$commonthreads.org",
    "ada@commonthreads.org",
    "mailto:ada@commonthreads.org",
    "@ada@mastodon.social",
    "😀commonthreads.org",
    "https://commonthreads.org/😀",
    "😀https://commonthreads.org/😀",
    "https://😀.org",
    "a.org,b.org;c.org",
    "a.org/b.org",
    "http://a.org/http://b.org",
    "httpshttps://a.org",
    "ahttps://a.org",
    "https//a.org",
    "https://a",
    "https://.org",
    "https://a..org",
    "a.org\u2060",
    "care\u2060.social",
    "https:\u2060//care\u2060.social/a",
    "\u202acare.social\u202c",
    "care.social\ufe0f",
    "care.socialx",
    "care.soci\u00e4l",
    "müller.de",
    "x.com X.COM x.com/a",
    "fish.and.chips and.so.on",
    "1.2.3.4 1.com 12.34.uk",
    "one.two.three.four.five.six.seven.eight.nine.ten.eleven.twelve.thirteen.uk",
]

TAGS = [
    "#SocialCareFuture",
    "#socialcarefuture, #IPC; (#PbR) “#Funding”",
    "#１２３ ＃全角 #日本語 #हिन्दी #한국어 #العربية",
    "#2026 #2026a #a-b #a_b #é #İstanbul",
    "a#b c##d #e#f",
    "@ada @ada_b @ada/list ＠全角 a@b",
    "$GE $T $1 $$",
    "#\ufe0f\u20e3 #️⃣ #😀 #a😀b",
    "#a\u2060b #\u2060ab",
]

EMOJI = [
    "😀",
    "☺",
    "☺️",
    "☺︎",
    "❤ ❤️ ❤︎",
    "© ® ™ ℹ ↔ ▶ ⏏ ⏏️ ☎ ♾ ♾️ ⚧ ⚧️",
    "©️ ®️ ™️",
    "1️⃣2️⃣ 3⃣ #️⃣ *️⃣",
    "🇬🇧🇫🇷 🇬 🇬🇧🇫 🇽🇽",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🏴󠁧󠁢󠁷󠁬󠁳󠁿 🏴󠁵󠁳󠁣󠁡󠁿",
    "👍👍🏻👍🏼👍🏽👍🏾👍🏿",
    "👍\u200d🏽",
    "🏽",
    "👨‍👩‍👧‍👦",
    "👩‍👩‍👦‍👦 👨‍👨‍👧",
    "👨🏽‍👩🏽‍👧🏽‍👦🏽",
    "👩‍❤️‍👨 👩‍❤️‍💋‍👨 👩🏽‍❤️‍👨🏿",
    "👩‍🚀 👨🏿‍🚀 🧑‍🚀 🧑🏽‍🚀",
    "👩‍🦰 👨🏾‍🦱 🧑‍🦳 🧑🏿‍🦲",
    "🤷‍♀️ 🤷🏽‍♂️ 🤷‍♀ 🤷🏽‍♂",
    "🕵️‍♀️ 🕵‍♀️ 🕵🏻‍♂️ 🏋️‍♀️ ⛹🏽‍♂️",
    "🧑‍🤝‍🧑 🧑🏽‍🤝‍🧑🏻 👩🏿‍🤝‍👨🏻 👭 👭🏽",
    "🏳️‍🌈 🏳‍🌈 🏳️‍⚧️ 🏴‍☠️",
    "👁️‍🗨️ 👁‍🗨",
    "🐕‍🦺 🐈‍⬛ 🐻‍❄️ 🐦‍⬛ 🐦‍🔥",
    "🦯 👨‍🦯 👩‍🦼 🧑‍🦽 🧑‍🦽‍➡️",
    "🧏‍♂️ 🧍‍♀️ 🧎🏽‍♂️ 🧎🏽‍♂️‍➡️",
    "🤏 🤏🏽 🦻🏿",
    "🥲 🫀 🪄 🧋 🤌🏽 🥷🏽",
    "🧑‍🎄 🧑🏽‍🎄 🤵‍♀️ 👰🏽‍♂️ 🧑‍🍼",
    "😮‍💨 😵‍💫 😶‍🌫️ ❤️‍🔥 ❤️‍🩹 🧔‍♂️",
    "🫠 🫡 🫶🏽 🫱🏻‍🫲🏿 🫅🏽 🤝🏽",
    "🫨 🩷 🫸🏽 🛜 🪽",
    "🙂‍↔️ 🙂‍↕️ 🍋‍🟩 🍄‍🟫 ⛓️‍💥 🧑‍🧑‍🧒",
    "🫩 🫆 🪾 🫟 🇨🇶",
    "a😀b 😀a😀 日😀本",
    "😀\ufe0f 😀\ufe0e 😀\u200d 😀\u20e3",
    "\u200d\u200d😀\u200d😀\u200d",
    "♀ ♂ ♀️ ♂️ ⚕ ⚕️",
    "⌚⌛⏩⏰⏳◽◾☔☕♈♉⚓⚡⚪⚫⚽⚾⛄⛅⛎⛔⛪⛲⛳⛵⛺⛽✅✊✋✨❌❎❓❗➕➖➗➰➿⬛⬜⭐⭕",
    "🀄🃏🅰️🅱️🅾️🅿️🆎🆑🈁🈂️🈚🈯㊗️㊙️〰️〽️",
]

PLAIN = [
    "a",
    "a\nb\r\nc\rd",
    "\n\n\n",
    "a\tb\u00a0c\u2003d\u3000e\u2028f",
    " leading and trailing ",
    "e\u0301 e\u0301\u0302\u0303 \u0301",
    "ﬁ ﬂ Å Å Ω Ω",
    "가 가 각",
    "\u0344 \u0958 \u2126",
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2069\ufeff",
    "\u0000\u0001\u001f\u007f\u0085",
    "\ufffe\uffff\ufffd",
    "… ‥ · • ‣ → ← ↑ ↓ ⇒ ∞ ≠ ≤ ≥ ± × ÷ − ∑ √",
    "“ ” ‘ ’ « » ‹ › „ ‚ – — ― ‐ ‑ ‒",
    "€ £ ¥ ₹ ₽ ₿ ¢ $ ¤",
    "½ ⅓ ² ³ ₂ Ⅳ ① ㊿ ㎏",
    "† ‡ § ¶ ※ ‰ ′ ″ ‴ ‵ ‶ ‷ ‸ ⁂",
    "𝐁𝐨𝐥𝐝 𝑖𝑡𝑎𝑙𝑖𝑐 𝔣𝔯𝔞𝔨𝔱𝔲𝔯 𝕕𝕠𝕦𝕓𝕝𝕖",
    "𠀀𠀁𪜀 𐌰𐌱 𓀀𓀁",
    "z̷̨̛̦a̸̢͠l̴̡̛g̵̨͝o̶̧͠",
    "ｆｕｌｌ　ｗｉｄｔｈ ﾊﾝｶｸ",
]


def texts() -> list[str]:
    """All of them, each once, in an order that stays."""
    link = "https://commonthreads.org/2026/01/05/the-joins/"
    mixed = [
        f"{prose} {emoji}\n\n{link}\n\n3/9" for prose, emoji in zip(PROSE, EMOJI, strict=False)
    ]
    found = [*PROSE, *LINKS, *TAGS, *EMOJI, *PLAIN, *_scripts(), *_blocks(), *mixed]
    return list(dict.fromkeys(found))


def _scripts() -> list[str]:
    """The first letters of each script there is, words of three."""
    letters: dict[str, list[str]] = {}
    for code in range(0x80, 0x32000):
        name = unicodedata.name(chr(code), "").split()
        if (name and "LETTER" in name) or "IDEOGRAPH" in name[:2] or "SYLLABLE" in name:
            letters.setdefault(name[0], []).append(chr(code))
    kept = sorted(script for script in letters if script not in _NO_SCRIPTS)
    return [_words(letters[script][:24]) for script in kept]


def _words(letters: list[str]) -> str:
    return " ".join("".join(letters[at : at + 3]) for at in range(0, len(letters), 3))


def _blocks() -> list[str]:
    """Punctuation, symbols and marks, eight by eight."""
    codes = [c for c in range(0xA0, 0x3100) if unicodedata.category(chr(c))[0] in "PSMZ"]
    groups = groupby(codes, key=lambda code: code // 24)
    return ["".join(chr(code) for code in group) for _, group in groups]


if __name__ == "__main__":
    json.dump(texts(), sys.stdout)
