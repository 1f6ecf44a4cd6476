"""Whether a reply only says thanks. Such a mail asks for nothing, so that nothing is planned, built or answered.

Counted in words: what is left when polite words are taken away must be too little to ask for anything. In doubt it is
a letter, since a wish that nobody hears is worse than one planning too many.
"""

from __future__ import annotations

import re

MOST_WORDS = 40
MOST_OTHER_WORDS = 3
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def _words(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(text))


# What makes it thanks, in the languages that quoted replies are recognised in.
_THANKS = _words("""
    thanks thank thx ty cheers appreciated ok okay super perfect great excellent awesome wonderful nice received lgtm
    danke dank vielen dankeschön perfekt prima toll klasse wunderbar genial erhalten merci parfait génial reçu gracias
    perfecto grazie perfetto bedankt dankjewel dziękuję dzięki tack tak děkuji díky obrigado obrigada
""")
# What surrounds it.
_POLITE = _THANKS | _words("""
    you so very much a lot many again all for the this that your our help work job is was it its that's it's looks look
    good well done best regards kind warm yours sincerely hello hi dear hey team everyone and from in advance got
    message mail email report noted will see love i we me us really quick fast answer reply update of to
    sieht aus sehr für die das den arbeit hilfe ist gut gute schöne liebe viele grüße gruß hallo und mit freundlichen
    freundliche beaucoup pour le la les bonjour cordialement bien et muchas por el saludos mille per saluti cordiali
    hartelijk groeten met vriendelijke serdecznie pozdrawiam hej mange hilsen moc zdravím
""")
# Whoever uses one of these may be asking for something.
_ASKING = _words("""
    please add change fix make remove also but however instead could can should would need want not no wrong missing
    broken bitte aber noch auch nicht falsch fehlt kannst können soll ändern mais aussi pero también però anche
""")


def is_courtesy(text: str) -> bool:
    """Whether a text says thanks, or that it was received, and nothing that could be a wish."""
    words = [word.lower() for word in _WORD.findall(text)]
    if "?" in text or len(words) > MOST_WORDS:
        return False
    if not words:
        return bool(text.strip()) and not any(character.isalnum() for character in text)
    others = [word for word in words if word not in _POLITE]
    return bool(_THANKS & set(words)) and not _ASKING & set(words) and len(others) <= MOST_OTHER_WORDS
