"""What the arms do in made poses (see `stances`), as tables of joint angles.

Angles are the anatomical ones of `anatomy`, in degrees, for the left arm; the right one is its mirror image unless it
has numbers of its own. Where a hand has a place to be (hip, pocket, lap, ear) the means are inverse kinematics of the
average body to that place.
"""

Spread = tuple[float, float]  # mean and standard deviation, degrees
Angles = dict[int, tuple[Spread, Spread, Spread]]

SHOULDER, ELBOW, WRIST = 16, 18, 20


def _arm(
    turn: Spread,
    back: Spread,
    lift: Spread,
    pronation: Spread,
    bend: Spread,
    roll: Spread,
    wrist: Spread,
    right: bool = False,
) -> Angles:
    """The left arm's angles (shoulder x, y, z; elbow x, y; wrist x, z) or the right arm's, given with its own signs."""
    side = int(right)
    return {
        SHOULDER + side: (turn, back, lift),
        ELBOW + side: (pronation, bend, (0, 1)),
        WRIST + side: (roll, (0, 7), wrist),
    }


ARMS: dict[str, Angles] = {
    "hanging": _arm((0, 15), (0, 12), (-76, 7), (10, 15), (-18, 12), (8, 10), (-5, 10)),
    "stiff": _arm((0, 10), (4, 6), (-80, 4), (0, 15), (-6, 5), (0, 10), (0, 6)),
    "pockets": _arm((36, 8), (15, 6), (-67, 5), (-10, 12), (-42, 8), (-5, 8), (-5, 8)),
    "hips": _arm((62, 6), (19, 6), (-47, 5), (17, 10), (-90, 8), (6, 10), (12, 12)),
    "crossed": _arm((44, 5), (-39, 5), (-78, 4), (-14, 8), (-85, 6), (-4, 8), (-20, 8))
    | _arm((39, 5), (41, 5), (76, 4), (-14, 8), (74, 6), (-4, 8), (26, 8), right=True),
    "lap": _arm((25, 10), (-8, 8), (-72, 5), (22, 12), (-62, 10), (15, 10), (0, 10)),
    "clasped": _arm((36, 7), (-20, 6), (-76, 4), (-6, 10), (-40, 12), (-2, 8), (-18, 10)),
    "behind": _arm((85, 8), (34, 6), (-66, 5), (18, 12), (-45, 8), (5, 10), (8, 10)),
    "gesture": _arm((-5, 20), (-20, 16), (-60, 12), (-5, 25), (-85, 20), (0, 15), (0, 18)),
    "carrying": _arm((8, 8), (-12, 8), (-72, 6), (-25, 20), (-90, 12), (-10, 12), (0, 12)),
    "phone": _arm((-22, 8), (-60, 7), (-42, 7), (7, 15), (-146, 5), (5, 10), (0, 12))
    | _arm((0, 15), (0, 10), (74, 8), (10, 15), (20, 15), (8, 10), (5, 10), right=True),
    "looking_at_phone": _arm((15, 8), (-20, 8), (-75, 6), (-22, 12), (-94, 12), (-15, 10), (-2, 10)),
    "behind_head": _arm((-90, 4), (-11, 8), (48, 8), (-8, 12), (-132, 6), (-5, 8), (0, 10)),
    "waving": _arm((-80, 10), (-15, 12), (-15, 18), (0, 20), (-85, 25), (0, 12), (0, 15))
    | _arm((0, 15), (0, 10), (74, 8), (10, 15), (20, 15), (8, 10), (5, 10), right=True),
    "propped": _arm((-8, 10), (25, 7), (-58, 7), (-5, 12), (-5, 5), (0, 10), (45, 12)),
    "overhead": _arm((-10, 15), (-10, 12), (60, 15), (0, 20), (-30, 20), (0, 10), (0, 12)),
    "handstand": _arm((-45, 10), (-6, 8), (86, 7), (-45, 10), (-6, 4), (0, 8), (60, 8)),
    "pillow": _arm((-26, 10), (-63, 10), (-30, 12), (5, 15), (-128, 14), (3, 10), (0, 12)),
    "t": _arm((0, 4), (0, 4), (0, 4), (0, 6), (-3, 3), (0, 6), (0, 5)),
    "a": _arm((0, 6), (0, 5), (-42, 8), (5, 8), (-8, 6), (0, 6), (0, 6)),
}
