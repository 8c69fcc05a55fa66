"""Everyday poses that motion capture hardly holds (standing about, sitting, lying), as tables of joint angles.

A made pose is a *stance* (legs, trunk, root) and a choice of arms, each with a normal spread about every angle.
Angles are the anatomical ones of `anatomy`, in degrees, for the left side; the right side is its mirror image unless
given by its own number.
"""

from dataclasses import dataclass

from nbf.synth.arms import Angles, Spread

HIP, KNEE, ANKLE, NECK, HEAD = 1, 4, 7, 12, 15
R_HIP, R_KNEE, R_ANKLE = 2, 5, 8
TRUNK_SPREAD = (5.0, 5.0, 4.0)  # degrees, of each of the three spine joints
HEAD_SPREAD = (8.0, 11.0, 6.0)  # degrees, of neck and head each


@dataclass(frozen=True)
class Stance:
    """Legs, trunk and root of a made pose.

    Attributes:
        share: how often, relative to the others.
        angles: joint -> (mean, spread) about x, y, z in degrees.
        arms: name in ARMS -> relative share.
        root: axis-angle of the root in degrees, (mean, spread) about x, y, z.
    """

    share: float
    angles: Angles
    arms: dict[str, float]
    root: tuple[Spread, Spread, Spread] = ((0, 4), (0, 5), (0, 3))


STANDING_ARMS = {
    "hanging": 8.0,
    "stiff": 2.0,
    "pockets": 2.0,
    "hips": 2.0,
    "crossed": 1.5,
    "clasped": 1.5,
    "behind": 1.0,
    "gesture": 2.0,
    "carrying": 1.0,
    "phone": 1.0,
    "looking_at_phone": 1.0,
    "behind_head": 0.4,
    "waving": 1.0,
    "overhead": 0.4,
}


SITTING_ARMS = {
    "lap": 6.0,
    "clasped": 2.0,
    "gesture": 1.5,
    "crossed": 1.0,
    "phone": 0.7,
    "looking_at_phone": 1.5,
    "carrying": 1.0,
    "hanging": 0.7,
    "propped": 0.8,
}
STANCES = (
    Stance(
        7,
        {HIP: ((-2, 5), (6, 7), (4, 4)), KNEE: ((4, 4), (0, 3), (0, 1)), ANKLE: ((0, 4), (4, 5), (-3, 3))},
        STANDING_ARMS,
    ),
    Stance(  # weight on the right leg
        3,
        {
            HIP: ((-14, 6), (14, 8), (8, 5)),
            KNEE: ((22, 9), (0, 3), (0, 1)),
            ANKLE: ((-4, 5), (5, 5), (0, 4)),
            R_HIP: ((0, 4), (-6, 6), (6, 3)),
            R_KNEE: ((2, 3), (0, 3), (0, 1)),
            R_ANKLE: ((0, 4), (-3, 5), (-2, 3)),
            3: ((0, 4), (0, 4), (-4, 3)),
        },
        STANDING_ARMS,
        ((0, 4), (-3, 5), (4, 3)),
    ),
    Stance(
        0.6,
        {HIP: ((0, 2), (0, 3), (2, 3)), KNEE: ((1, 1), (0, 1), (0, 1))},
        {"t": 1.0, "a": 2.0},
        ((0, 1), (0, 2), (0, 1)),
    ),
    Stance(  # on a chair
        5,
        {
            HIP: ((-80, 8), (5, 8), (9, 8)),
            KNEE: ((84, 12), (0, 4), (0, 1)),
            ANKLE: ((2, 7), (3, 6), (0, 4)),
            3: ((6, 6), (0, 4), (0, 3)),
        },
        SITTING_ARMS,
        ((-8, 9), (0, 5), (0, 3)),
    ),
    Stance(  # leaning forward over the knees
        1,
        {
            HIP: ((-95, 8), (6, 8), (12, 8)),
            KNEE: ((88, 14), (0, 4), (0, 1)),
            ANKLE: ((0, 8), (3, 6), (0, 4)),
            3: ((14, 6), (0, 4), (0, 3)),
            6: ((12, 5), (0, 4), (0, 3)),
        },
        {"lap": 2.0, "clasped": 3.0, "looking_at_phone": 2.0},
        ((14, 8), (0, 5), (0, 3)),
    ),
    Stance(  # legs crossed at the knee
        1.5,
        {
            HIP: ((-98, 6), (8, 6), (-12, 4)),
            KNEE: ((80, 10), (6, 4), (0, 1)),
            ANKLE: ((18, 9), (4, 6), (0, 5)),
            R_HIP: ((-80, 5), (0, 5), (3, 4)),
            R_KNEE: ((84, 9), (0, 4), (0, 1)),
            R_ANKLE: ((2, 6), (0, 5), (0, 4)),
            3: ((6, 6), (0, 4), (0, 3)),
        },
        SITTING_ARMS,
        ((-8, 8), (0, 5), (0, 3)),
    ),
    Stance(  # cross-legged on the floor
        1.3,
        {
            HIP: ((-82, 8), (48, 7), (42, 7)),
            KNEE: ((122, 8), (8, 5), (0, 1)),
            ANKLE: ((20, 10), (-5, 8), (-15, 8)),
            3: ((14, 6), (0, 4), (0, 3)),
            6: ((8, 5), (0, 4), (0, 3)),
        },
        SITTING_ARMS,
        ((-14, 8), (0, 4), (0, 3)),
    ),
    Stance(  # legs stretched on the floor
        1,
        {
            HIP: ((-78, 9), (8, 8), (9, 8)),
            KNEE: ((12, 10), (0, 4), (0, 1)),
            ANKLE: ((12, 10), (5, 6), (0, 4)),
            3: ((8, 6), (0, 4), (0, 3)),
        },
        {"propped": 4.0, "lap": 3.0, "looking_at_phone": 1.0, "gesture": 1.0},
        ((-16, 9), (0, 4), (0, 3)),
    ),
    Stance(  # knees drawn up
        1,
        {
            HIP: ((-112, 10), (5, 8), (9, 8)),
            KNEE: ((112, 12), (0, 4), (0, 1)),
            ANKLE: ((14, 10), (3, 6), (0, 4)),
            3: ((10, 6), (0, 4), (0, 3)),
        },
        {"propped": 3.0, "clasped": 2.0, "lap": 2.0, "looking_at_phone": 1.0},
        ((-18, 9), (0, 4), (0, 3)),
    ),
    Stance(  # kneeling upright
        0.8,
        {HIP: ((-8, 7), (3, 6), (7, 5)), KNEE: ((94, 8), (0, 4), (0, 1)), ANKLE: ((45, 12), (0, 5), (0, 4))},
        STANDING_ARMS,
    ),
    Stance(  # sitting on the heels
        0.7,
        {
            HIP: ((-92, 8), (2, 6), (8, 6)),
            KNEE: ((145, 6), (0, 4), (0, 1)),
            ANKLE: ((50, 8), (0, 5), (0, 4)),
            3: ((6, 6), (0, 4), (0, 3)),
        },
        SITTING_ARMS,
    ),
    Stance(  # on one knee
        0.9,
        {
            HIP: ((-88, 8), (5, 7), (8, 6)),
            KNEE: ((90, 9), (0, 4), (0, 1)),
            ANKLE: ((0, 7), (3, 6), (0, 4)),
            R_HIP: ((2, 8), (-3, 6), (-5, 5)),
            R_KNEE: ((92, 8), (0, 4), (0, 1)),
            R_ANKLE: ((5, 20), (0, 5), (0, 4)),
        },
        STANDING_ARMS | {"lap": 3.0},
        ((4, 8), (0, 5), (0, 3)),
    ),
    Stance(  # squatting
        0.8,
        {
            HIP: ((-115, 9), (12, 8), (16, 8)),
            KNEE: ((132, 9), (0, 5), (0, 1)),
            ANKLE: ((-22, 8), (6, 6), (0, 4)),
            3: ((12, 6), (0, 4), (0, 3)),
        },
        {"lap": 2.0, "clasped": 2.0, "gesture": 2.0, "looking_at_phone": 1.0},
        ((22, 8), (0, 5), (0, 3)),
    ),
    Stance(  # on the back
        1.2,
        {HIP: ((-12, 12), (12, 9), (8, 7)), KNEE: ((18, 16), (0, 4), (0, 1)), ANKLE: ((25, 10), (5, 6), (0, 4))},
        {
            "hanging": 3.0,
            "pillow": 0.5,
            "behind_head": 1.5,
            "lap": 1.5,
            "clasped": 1.5,
            "overhead": 1.0,
            "looking_at_phone": 1.0,
        },
        ((-90, 6), (0, 5), (0, 6)),
    ),
    Stance(  # on the front
        1,
        {
            HIP: ((2, 5), (5, 9), (9, 6)),
            KNEE: ((14, 14), (0, 4), (0, 1)),
            ANKLE: ((45, 10), (0, 6), (0, 4)),
            NECK: ((-12, 6), (18, 20), (0, 6)),
            HEAD: ((-10, 6), (18, 20), (0, 6)),
        },
        {"overhead": 3.0, "waving": 1.5, "pillow": 1.0, "stiff": 1.5},
        ((90, 6), (0, 5), (0, 6)),
    ),
    Stance(  # on the hands, legs together, apart or bent as balance asks
        0.5,
        {
            HIP: ((-8, 14), (0, 8), (8, 8)),
            KNEE: ((14, 14), (0, 4), (0, 1)),
            ANKLE: ((38, 12), (0, 6), (0, 4)),
            R_HIP: ((-14, 24), (0, 8), (-10, 10)),
            R_KNEE: ((18, 20), (0, 4), (0, 1)),
            R_ANKLE: ((38, 12), (0, 6), (0, 4)),
            3: ((-6, 5), (0, 4), (0, 3)),
            NECK: ((-12, 8), (0, 8), (0, 5)),
            HEAD: ((-14, 9), (0, 8), (0, 5)),
        },
        {"handstand": 1.0},
        ((180, 8), (0, 8), (0, 5)),
    ),
    Stance(  # on the left side, knees drawn up a little
        1.2,
        {
            HIP: ((-38, 20), (0, 6), (0, 4)),
            KNEE: ((52, 24), (0, 4), (0, 1)),
            ANKLE: ((22, 10), (0, 6), (0, 4)),
            R_HIP: ((-42, 20), (0, 6), (4, 5)),
            R_KNEE: ((55, 24), (0, 4), (0, 1)),
            R_ANKLE: ((22, 10), (0, 6), (0, 4)),
            3: ((8, 6), (0, 5), (0, 4)),
        },
        {"pillow": 3.0, "clasped": 1.0, "gesture": 1.5, "looking_at_phone": 1.0},
        ((0, 6), (0, 8), (-88, 9)),
    ),
)

# What every stance has unless it says otherwise.
USUAL: Angles = {
    **{joint: tuple((0.0, spread) for spread in TRUNK_SPREAD) for joint in (3, 6, 9)},  # type: ignore[misc]
    **{joint: tuple((0.0, spread) for spread in HEAD_SPREAD) for joint in (NECK, HEAD)},  # type: ignore[misc]
    13: ((0, 2), (0, 4), (-2, 4)),
    10: ((0, 4), (0, 1), (0, 1)),
}
