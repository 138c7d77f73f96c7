"""Stop words, by language and part of speech."""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH: Mapping[str, str] = {
    "articles": "a an the",
    "prepositions": (
        "about above across after against along among around as at before behind below beneath beside besides between "
        "beyond by despite down during except for from in inside into like near of off on onto out outside over past "
        "per since through throughout to toward towards under underneath until up upon via with within without"
    ),
    "conjunctions": "and or nor but yet so because although though while whereas unless if than whether",
    "pronouns": (
        "i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her "
        "hers herself it its itself they them their theirs themselves this that these those who whom whose which what "
        "one someone somebody something anyone anybody anything everyone everybody everything nobody nothing none"
    ),
    "auxiliaries": (
        "am is are was were be been being do does did doing have has had having will would shall should can could may "
        "might must ought"
    ),
    "adverbs": "not no very too also just only here there then now when where why how again ever never still such",
}

GERMAN: Mapping[str, str] = {
    "articles": ("der die das den dem des ein eine einer eines einem einen kein keine keiner keines keinem keinen"),
    "prepositions": (
        "ab an am ans auf aufs aus außer bei beim bis durch durchs entlang für fürs gegen gegenüber hinter in im ins "
        "innerhalb außerhalb mit nach neben ohne seit statt trotz über um unter vom von vor während wegen zu zum zur "
        "zwischen"
    ),
    "conjunctions": (
        "und oder aber denn sondern doch dass weil wenn als ob obwohl damit sodass bevor nachdem sobald solange sowie "
        "weder noch sowohl entweder falls"
    ),
    "pronouns": (
        "ich mich mir mein meine meiner meines meinem meinen du dich dir dein deine deiner deines deinem deinen er ihn "
        "ihm sein seine seiner seines seinem seinen sie ihr ihre ihrer ihres ihrem ihren es wir uns unser unsere "
        "unserer unseres unserem unseren euch euer eure eurer eures eurem euren sich man wer wen wem wessen was welche "
        "welcher welches welchem welchen dieser diese dieses diesem diesen jener jene jenes jenem jenen jeder jede "
        "jedes jedem jeden alle allem allen aller alles etwas nichts jemand niemand selbst"
    ),
    "auxiliaries": (
        "bin bist ist sind seid war warst waren wart gewesen sei wäre wären habe hast hat haben habt hatte hattest "
        "hatten hattet gehabt hätte hätten werde wirst wird werden werdet wurde wurden würde würden worden kann kannst "
        "können könnt konnte konnten könnte könnten muss musst müssen müsst musste mussten müsste darf dürfen durfte "
        "soll sollen sollte sollten will wollen wollte wollten mag mögen möchte"
    ),
    "adverbs": (
        "nicht auch nur sehr schon noch hier da dort dann nun jetzt so wie wo wann warum wieder immer nie mehr ganz "
        "etwa ja nein"
    ),
}

LISTS: Mapping[str, Mapping[str, str]] = {"english": ENGLISH, "german": GERMAN}
PARTS_OF_SPEECH = tuple(ENGLISH)


def stop_words(language: str, parts: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Sorted, in lower case. Without parts: all there are; in English these are scikit-learn's ENGLISH_STOP_WORDS."""
    if language == "english" and not parts:
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        return tuple(sorted(ENGLISH_STOP_WORDS))
    lists = LISTS[language]
    return tuple(sorted({word for part in parts or lists for word in lists[part].split()}))
