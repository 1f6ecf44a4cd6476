"""Whether a letter only points at a file. Where that file was not read, the letter asks for nothing that we know of.

Counted in words, as thanks are: what is left beside "please find it attached" must be too little to be a wish.
"""

from __future__ import annotations

import re

_MOST_WORDS = 40
_MOST_OTHER_WORDS = 2
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
# Names of files and of repositories, addresses and links say where, not what.
_IN_A_PLACE = re.compile(r"[/\\@]|\.[A-Za-z]{1,4}\b")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FILES = _words("""
    attached attachment attachments attaching enclosed enclosing enclosure pdf docx screenshot screenshots picture
    pictures image images photo photos scan drawing sketch mockup anhang anhänge angehängt angehängte angehängten
    anliegend anlage anlagen beigefügt beigefügte beigefügten anbei bild bilder foto fotos skizze joint jointe joints
    pièce pièces adjunto adjunta adjuntos allegato allegata allegati anexo anexado bijlage bijgevoegd załącznik
    załączniku bifogad bifogat bilaga vedhæftet vedlagt příloha příloze
""")
_EMPTY = _FILES | _words("""
    fwd fw fyi hi hello hey dear all team everyone sir madam please kindly find see look at have check read build
    implement make do it this that the a an what which is are was in into on of for to from with and or as per by our
    your my me i we you us it's here there below above inside file files document documents spec specs specification
    specifications requirements requirement details more described written wishes wish letter mail email message word
    need want would like could can thanks thank regards best kind cheers new project repository repo
    hallo guten tag morgen moin liebe lieber sehr geehrte geehrter damen herren zusammen bitte danke viele grüße gruß
    mit freundlichen siehe sehen schauen sie euch dir die der das den dem des im in ist sind finden findet
    unten datei dokument beschreibung spezifikation anforderungen bauen umsetzen umzusetzen was wie wir ihr ich für und
    zu von     bonjour merci veuillez trouver voir le la les ci un une document fichier cordialement et pour dans
    hola gracias ver el los archivo por favor saludos ciao grazie vedi il lo file saluti in
""")


def speaks_of_files(text: str) -> bool:
    """Whether a letter names a file or a picture that comes along."""
    return any(word.lower() in _FILES for word in _WORD.findall(text[:20_000]))


def is_mere_pointer(text: str) -> bool:
    """Whether a letter says where to look and nothing that could be a wish. A letter without a word is none."""
    shown = " ".join(piece for piece in text[:20_000].split() if not _IN_A_PLACE.search(piece))
    words = [word.lower() for word in _WORD.findall(shown)]
    if not words or len(words) > _MOST_WORDS:
        return False
    others = [word for word in words if word not in _EMPTY]
    return not others or (len(others) <= _MOST_OTHER_WORDS and speaks_of_files(text))
