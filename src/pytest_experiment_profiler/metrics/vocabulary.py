"""Words that stand for others: numbers, months, units, titles, short names, and little words."""

from __future__ import annotations


def _table(text: str) -> dict[str, str]:
    """Read lines of a word, a colon and the words that it stands for."""
    rows = (line.partition(":") for line in text.strip().splitlines())
    return {
        word: name.strip() for name, _, words in rows for word in (name.strip(), *words.split())
    }


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _values(text: str) -> dict[str, int]:
    return dict(zip(text.split(), (*range(20), *range(20, 100, 10)), strict=True))


CARDINALS = {"dozen": 12} | _values("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
""")
ORDINALS = _values("""
    zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth
    thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth
    fortieth fiftieth sixtieth seventieth eightieth ninetieth
""")
SCALES = {
    word: 10**zeros
    for word, zeros in zip(
        ("hundred", "thousand", "million", "billion", "trillion"), (2, 3, 6, 9, 12), strict=True
    )
}
NUMBER_WORDS = frozenset({*CARDINALS, *ORDINALS, *SCALES})
SUFFIXES = _table("""
    thousand: k
    million: m mn
    billion: b bn
    trillion: tn
""")
MONTHS = _table("""
    january: jan
    february: feb
    march: mar
    april: apr
    may:
    june: jun
    july: jul
    august: aug
    september: sep sept
    october: oct
    november: nov
    december: dec
""")
MONTH_NAMES = tuple(dict.fromkeys(MONTHS.values()))

CURRENCIES = _table("""
    dollar: $ usd us$
    euro: € eur
    pound: £ gbp
    yen: ¥ jpy
""")
SAME = CURRENCIES | _table("""
    km: kms kilometre kilometres kilometer kilometers
    cm: cms centimetre centimetres centimeter centimeters
    mm: millimetre millimetres millimeter millimeters
    metre: metres meter meters
    kg: kgs kilo kilos kilogram kilograms kilogramme kilogrammes
    square: sq
    gram: grams gramme grammes
    mg: milligram milligrams milligramme milligrammes
    litre: litres liter liters
    ml: millilitre millilitres milliliter milliliters
    foot: feet
    yard: yards yd yds
    pound: pounds lb lbs
    ounce: ounces oz
    hour: hours hr hrs
    minute: minutes min mins
    second: seconds sec secs
    year: years yr yrs
    hertz: hz
    kilohertz: khz
    megahertz: mhz
    gigahertz: ghz
    kilowatt: kilowatts kw
    megawatt: megawatts mw
    kilobyte: kilobytes kb
    megabyte: megabytes mb
    gigabyte: gigabytes gb
    terabyte: terabytes tb
    %: percent pct
    degree: degrees deg °
    st: saint street
    mt: mount
    dr: doctor
    mr: mister
    jr: junior
    sr: senior
    vs: versus
    ave: avenue
    rd: road
    tv: television
    ok: okay
    usa: u.s u.s.a
    man: men
    woman: women
    child: children
    person: people persons
    wife: wives
    knife: knives
    wolf: wolves
    leaf: leaves
    mouse: mice
    tooth: teeth
    goose: geese
    half: halves
    calf: calves
    shelf: shelves
    loaf: loaves
    thief: thieves
    louse: lice
    ox: oxen
    bus: buses
    gas: gases
    lens: lenses
    virus: viruses
    analysis: analyses
    crisis: crises
    thesis: theses
    hypothesis: hypotheses
    diagnosis: diagnoses
    synthesis: syntheses
    phenomenon: phenomena
    criterion: criteria
    bacterium: bacteria
    fungus: fungi
    nucleus: nuclei
    cactus: cacti
    stimulus: stimuli
    larva: larvae
    alga: algae
    vertebra: vertebrae
    formula: formulae
    index: indices
    matrix: matrices
    gray: grey
    sulfur: sulphur
    sulfate: sulphate
    sulfuric: sulphuric
    estrogen: oestrogen
    esophagus: oesophagus
    edema: oedema
    catalog: catalogue
    dialog: dialogue
    jewelry: jewellery
    airplane: aeroplane
    maneuver: manoeuvre
    plow: plough
    donut: doughnut
    mold: mould
    odor: odour
""")
AFTER_NUMBER = _table("""
    metre: m
    gram: g
    litre: l
    foot: ft
    mile: mi
    hour: h
    second: s
    celsius: c
    fahrenheit: f
    watt: w
    volt: v
""")
AFTER_UNIT = _set("km mile metre degree degrees ° square sq cubic")
WRITTEN_OUT = {
    "kmh": ("km", "hour"),
    "kph": ("km", "hour"),
    "mph": ("mile", "hour"),
    "m2": ("square", "metre"),
    "sqm": ("square", "metre"),
    "km2": ("square", "km"),
    "cm2": ("square", "cm"),
    "m3": ("cubic", "metre"),
    "cm3": ("cubic", "cm"),
    "kwh": ("kw", "hour"),
    "mwh": ("mw", "hour"),
}

BESIDE_NUMBERS = NUMBER_WORDS.union(
    MONTHS,
    CURRENCIES,
    AFTER_NUMBER,
    AFTER_UNIT,
    WRITTEN_OUT,
    ("minus", "and", "of", "per", "cent"),
    ("bn", "mn", "tn", ""),
)
"""What a number beside it may change, or it the number; between two pieces may be nothing."""

LIGHT = _set("""
    of in on at to for by with from into and or but nor as is are was were be been being it its his
    her their our your my he she they we you this that these those which who whom whose what when
    where there has have had do does did will would can could might not no so than then about also
    any some such very only just around approximately circa nearly roughly almost per late early mid
""")
TITLES = _set("""
    mr mrs ms miss dr sir dame lord lady saint st king queen prince princess emperor empress pope
    president prof professor rev reverend captain capt general gen colonel col major lieutenant lt
    sergeant sgt admiral father sister brother chief justice senator sen governor gov prime minister
    chancellor duke duchess count countess baron baroness earl
""")
SUFFIXES_OF_NAMES = _set("jr sr mbe obe cbe kbe phd md esq")
_LONG_AND_SHORT = (
    ("US", "usa", "u.s.", "u.s.a.", "united states", "united states of america"),
    ("uk", "u.k.", "united kingdom", "great britain"),
    ("uae", "united arab emirates"),
    ("eu", "european union"),
    ("un", "united nations"),
    ("ussr", "soviet union"),
    ("nyc", "new york city"),
    ("wwi", "ww1", "world war i", "world war 1", "world war one", "first world war"),
    ("wwii", "ww2", "world war ii", "world war 2", "world war two", "second world war"),
)
SHORT_FOR = {name: names for names in _LONG_AND_SHORT for name in names}
NICKNAMES = _table("""
    william: bill billy will willy
    robert: bob bobby
    james: jim jimmy jamie
    john: jack johnny
    richard: dick rick
    katherine: kate katie kathy
    elizabeth: liz betty
    edward: ted
    anthony: tony
    michael: mike
    henry: harry
    charles: chuck
    margaret: peggy
    lawrence: larry
""")
ENDINGS = _set("""
    s es d ed er ers or ors ing ings e y ies ied ion ions ation ations al ally ly ive ism ist ists
    ize izes ized izing ise ises ised ising ment ments ness ity able ible ate ates ated ating ant
    ent ance ence ful ure ural
""") | {""}

DIRECTIONS = _set("new north south east west")
"""What a name can't be without: New Mexico, South Korea."""


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Read pairs of words, either way round."""
    pairs = [(one, other) for one, _, other in (pair.partition("/") for pair in text.split())]
    return (*pairs, *((other, one) for one, other in pairs))


OPPOSITES = dict(
    _pairs("""
    north/south east/west northern/southern eastern/western left/right upper/lower inner/outer
    ascending/descending increasing/decreasing increase/decrease rise/fall rising/falling
    maximum/minimum positive/negative male/female internal/external before/after higher/lower
    primary/secondary import/export above/below first/last black/white hot/cold major/minor
    older/younger man/woman king/queen mother/father brother/sister son/daughter
""")
)
"""Words that make of a thing the other one of two."""

OPPOSED = _pairs("""
    hypo/hyper endo/exo ab/ad inter/intra macro/micro ante/anti homo/hemi pro/pre intro/extro
    ite/ate ite/ide ate/ide ane/ene ene/yne ane/yne ose/ase
    desert/dessert complement/compliment principal/principle stationary/stationery angel/angle
    causal/casual trail/trial capital/capitol council/counsel
""")
"""Beginnings and endings by which two words are told apart, not misspelt."""
