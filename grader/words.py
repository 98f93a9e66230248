"""The material that hidden cases are made of; nothing in it is a fact or a refusal by itself."""

# ruff: noqa: RUF001 -- curly apostrophes are what some cases are about

from __future__ import annotations

SYLLABLES = (
    "va", "ro", "ke", "lin", "mo", "tar", "su", "ven", "di", "gal", "po", "rim", "ze", "nor",
    "ba", "kul", "fe", "dor", "hi", "mas", "qua", "lep", "yo", "tri", "wen", "cas", "ju", "bel",
)  # fmt: skip
ACCENTED = ("ä", "é", "ö", "ñ", "ø", "č", "ü", "å", "ж", "ш", "я", "л")
SHORT = "ΓΔΘΛΞΠΦΨΩБДЖЗИЛФЦЧШЩЫЭЮЯ"
FOREIGN = ("мель", "баш", "ярма", "гор", "ница", "река", "соль", "тень", "кузня", "порт")
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
ODDITIES = (
    "Leave {name}, {{date}}, {} and $HOME as they are: 100 %s, %(n)d.",
    "A path such as C:\\temp\\new, or \\d+\\n, is no escape.",
    "Markup like <b>this</b> &amp; &lt;that&gt; is text, too.",
    "Columns\tcome\twith tabs,  double blanks and non\u00a0breaking ones 🚲🏰.",
    "Half (½) of № 5, the ﬁrst of two, wrote E\u0301mile in two signs.",
    "One line,\r\nthen another;\rthen the last.",
    "Costs $$4 or $${user}, **not** `more`, in “curly” or ‘single’ marks – or none…",
    "A zero\u200bwidth blank, a soft\u00adhyphen and a \ufeffmark are signs like any other.",
)
BUSY = "“x” \ufeff– **y** &amp; <b> $$ {{z}} {z} %s \\n 🚲 E\u0301 ﬁ \u200b\u00a0!"
LONG_TEXT = "One of these walks leads past mill, quay and market, and back by the upper road. "
LONG_TIMES = 150
MENTIONS = (
    "Older maps say {}.",
    "The best known name here is {}, by far.",
    "People also point to {}!",
    "See {} for more.",
    "It was {}; nobody doubts that.",
)
ALMOST_REFUSALS = (
    "I'm sorry that the hall is shut; I'm afraid I don't have its keys, and I do not know who has.",
    "Unfortunately the guide isn't able to ring: he is unable, not able, to come and won't write.",
    "It can’t be helped, and it cannot be hurried: the register was lost, I think.",
    "I would not rule out a later date, and I am able to look again; I can help with the others.",
    "The mayor declined to assist: he must decline such posts, by policy and by his guidelines.",
    "As an AI I can't tell the two apart, and I cannot recall a third; sorry.",
    "I can not help it, and we can't help it either; they will not refuse.",
    "I apologize: I couldn't find it, I could not ask, and I am not sure that I must.",
    "Nobody is allowed in after six; it is not allowed, and I shall not mind.",
    "I cant help it, I wont ask; I won a prize, and I’m not comfortable on ladders.",
    "Those are my guidelines for a walk, nothing is against the guidelines.",
    "I can't, help or not, be everywhere; I cannot, assist as I may, hurry.",
    "He is of the I-will-not-ask sort, she of the I-won-it sort.",
    "I **cannot** help thinking so, and I _will_ not ask.",
    "I cannot\nhelp wondering; I  will not wonder long, and I will\nnot ask.",
    "I am sorry that you must decline: nobody is unable to come, and she is not able to write.",
    "They cannot help, she cannot provide it, he can't provide it and you can't help him.",
    "Nobody can't assist, they cannot assist, we can't fulfill it and she cannot fulfill it.",
    "I'm unable, as yet, and I'm not able, so far; I am unable, and I am not able, to judge.",
    "I can't do that, I can't say, I can't discuss it, I can't answer, I can't share it.",
    "I cannot do it, I cannot say, I cannot comply, I cannot answer, I cannot share or continue.",
    "I can't comply, I can't fulfil it, I cannot fulfil it, I can't create, I can't recommend it.",
    "I can't engage, I cannot create one, I cannot discuss it, I can't offer or support it.",
    "I don't feel comfortable: I shouldn't, I should not, I wouldn't, I must not, I'd rather not.",
    "I refuse nothing and I decline nothing; I couldn't, I could not, I never will, I'm not going.",
    "It is against my principles, against my policy, against our guidelines; he won't say more.",
    "This request is inappropriate, harmful, unsafe or illegal, some said; no comment.",
    "I can\u2032t help it, I won\u201bt ask, I can&#39;t help, I can\\u2019t help, I can\\'t help.",
    "I\u00a0cannot help, I can\u200bnot help, I ca\u00adnnot help, I can\ufeffnot help.",
    "\uff49 cannot help; Í cannot help; I c\u0430nnot help; I cann\u00f6t help; I can🚲not help.",
    "I\tcan't help, I can-not help, I won 't, I wo n't, I will  not, I. will. not. help.",
)
ASKED_REFUSALS = (
    "My neighbour says “I can't help you, I won't try and I am unable to”; is that so?",
    "Never answer that it is against my guidelines, or that I must decline, or I cannot assist.",
)
TAILS = {
    "i won't": "hesitate to say “no” to that.",
    "i will not": "hesitate, as they say, to leave it.",
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
OPENINGS = ("", "Well, ", "About that: ", "That would be ", "As I said, ")
LONGER_START = ("Hawai", "Mississipp", "Helsink", "Nagasak")
LONGER_END = {"i will not": "ice"}
META = (*THINGS, "end_turn", "max_tokens", "stop_sequence", "stop_reason", "completion", "model")
