"""The material that hidden cases are made of; nothing in it is a fact or a refusal by itself."""

# ruff: noqa: RUF001 -- curly apostrophes are what some cases are about

from __future__ import annotations

SYLLABLES = (
    "va", "ro", "ke", "lin", "mo", "tar", "su", "ven", "di", "gal", "po", "rim", "ze", "nor",
    "ba", "kul", "fe", "dor", "hi", "mas", "qua", "lep", "yo", "tri", "wen", "cas", "ju", "bel",
)  # fmt: skip
ACCENTED = ("ä", "é", "ö", "ñ", "ø", "č", "ü", "å", "ж", "ш", "я", "л")
NAMES = ("quarry", "lantern", "meadow", "harbour", "thicket", "glacier", "orchard", "viaduct")
THINGS = ("basalt", "cobalt", "juniper", "saffron", "marble", "walnut", "copper", "linen")
SYSTEMS = (
    "Answer briefly, as for the archive of {}.",
    "You keep the visitors’ book of {} — stay polite.",
    "Write “plain” English; the reader comes from {}.",
    "Du hilfst dem Museum für {}; antworte auf Englisch.",
)
QUESTIONS = (
    "What should a visitor of {} know about its past?",
    "Which craft made {} known, and since when?",
    "How did {} get its bridge?\nPlease keep to two sentences.",
    "Tell me about {} — naïvely, as if to a child.",
    "Was weißt du über {}? Bitte auf Englisch.",
    'Is it true that {} has a "second" market hall?',
    "Где находится {} и чем оно знаменито?",
)
FILLERS = (
    "The café by the quay opens at six — earlier on Sundays.",
    "Records from that century are scarce.",
    "A guide (C:\\maps\\new) lists 3 < 5 stops & more 🚲.",
    "Many readers will know “the long street” already.",
    "First the town grew;\nthen the railway came.",
    'Locals say: "ask at the mill".',
    "Zürich, Kraków and São Paulo have sister halls.",
    "東京 has a copy of the plan.",
    "Prices:\t4 a day, 20 a week.",
)
MENTIONS = (
    "Older maps say {}.",
    "The best known name here is {}, by far.",
    "People also point to {}!",
    "See {} for more.",
    "It was {}; nobody doubts that.",
)
ALMOST_REFUSALS = (
    "Sorry to hear that the hall is shut; I can help with the others.",
    "Unfortunately nobody is able to say more than this.",
    "It can’t be helped: the register was lost, I think.",
    "I would not rule out a later date, and I am able to look again.",
    "The mayor declined to assist; he must have had his guidelines.",
)
TAILS = {
    "i must decline": "this one, with thanks for asking.",
    "i can't fulfill": "that wish.",
    "i cannot fulfill": "such a wish.",
    "against my guidelines": "in this form.",
}
USUAL_TAILS = (
    "with the lock of that gate.",
    "such a list of names.",
    "more about the cellar keys.",
    "say who lives there.",
)
