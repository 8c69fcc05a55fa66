"""A made-up table as AGORA has them, pickled by whatever pandas is there.

    python tests/agora_frames.py NAME PROTOCOL

writes NAME.pkl. Needs no nbf; the files of unit/data/frames are by pandas 0.25.3, 1.1.5, 1.5.3 and 2.3.3. Bodies are a
skeleton of 24 joints; where it stands is worked out here from AGORA's conventions, one step after the other.
"""

import math
import pickle
import sys

import numpy as np

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
PICTURES = (
    # Name, millimetres, camera (cm), yaw, pitch, height of the ground (m), people.
    ("ag_trainset_hdri_50mm_00000.png", 50, (0, 0, 170), 0, 0, 0.0, 2),
    ("ag_trainset_3dpeople_bfh_archviz_cam02_00001.png", 18, (-490, 170, 265), -45, 30, 0.0, 1),
    ("ag_trainset_ag2_00002.png", 28, (0, 0, 170), 0, 15, 0.0, 1),
    ("ag_trainset_flowers_00003.png", 28, (-120, 310, 90), 70, 0, -1.7, 1),
)


def rest():
    """Joints of the T-pose, metres."""
    offsets = np.random.RandomState(0).uniform(-0.2, 0.2, (24, 3))
    joints = np.zeros((24, 3))
    for joint, parent in enumerate(PARENTS):
        joints[joint] = offsets[joint] + (joints[parent] if parent >= 0 else 0)
    return joints


def fit(picture, person):
    """What a file of a fit holds."""
    draw = np.random.RandomState(10 * picture + person)
    return {
        "global_orient": draw.uniform(-1, 1, (1, 3)),
        "body_pose": draw.uniform(-0.5, 0.5, (1, 63)),
        "betas": np.zeros((1, 10)),
        "transl": draw.uniform(-0.3, 0.3, (1, 3)),
    }


def turn(vector):
    """Rodrigues' formula."""
    angle = np.linalg.norm(vector)
    x, y, z = vector / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * k @ k


def posed(given):
    vectors = np.concatenate([given["global_orient"], given["body_pose"].reshape(21, 3), np.zeros((2, 3))])
    joints, turns = rest(), [np.eye(3)] * 24
    places = joints.copy()
    for joint, parent in enumerate(PARENTS):
        local = turn(vectors[joint]) if vectors[joint].any() else np.eye(3)
        if parent < 0:
            turns[joint] = local
        else:
            turns[joint] = turns[parent] @ local
            places[joint] = places[parent] + turns[parent] @ (joints[joint] - joints[parent])
    return places + given["transl"]


def seen(points, stands, yaw, camera, camera_yaw, pitch, ground):
    """Camera metres of a fit that stands at a place (cm) in Unreal's world: x forward, y right, z up."""
    found = []
    for x, y, z in points:
        y, z = -y, -z
        a = math.radians(yaw - 90)
        x, z = math.cos(a) * x + math.sin(a) * z, -math.sin(a) * x + math.cos(a) * z
        x, y, z = x + stands[1] / 100, y - stands[2] / 100, z + stands[0] / 100
        x, y, z = x - camera[1] / 100, y + camera[2] / 100 - ground, z - camera[0] / 100
        a = math.radians(-camera_yaw)
        x, z = math.cos(a) * x + math.sin(a) * z, -math.sin(a) * x + math.cos(a) * z
        a = math.radians(pitch)
        y, z = math.cos(a) * y - math.sin(a) * z, math.sin(a) * y + math.cos(a) * z
        found.append((x, y, z))
    return np.array(found)


def rows():
    for picture, (name, focal, camera, yaw, pitch, ground, people) in enumerate(PICTURES):
        stands, turned, space, pixels = [], [], [], []
        for person in range(people):
            # Four metres before the camera, whichever way it looks.
            a = math.radians(yaw)
            stands.append((camera[0] + 400 * math.cos(a), camera[1] + 400 * math.sin(a) + 50 * person, 20.0))
            turned.append(25.0 * picture - 40 * person)
            space.append(seen(posed(fit(picture, person)), stands[-1], turned[-1], camera, yaw, pitch, ground))
            pixels.append(focal / 36 * 3840 * space[-1][:, :2] / space[-1][:, 2:] + np.array([1920, 1080]))
        row = {"imgPath": name, "gender": ["female", "male"][:people], "kid": [False, True][:people]}
        row.update((key, [place[axis] for place in stands]) for axis, key in enumerate("XYZ"))
        row.update((key, float(camera[axis])) for axis, key in enumerate(("camX", "camY", "camZ")))
        row.update(Yaw=turned, camYaw=yaw, isValid=[picture != 2] * people, occlusion=np.zeros(people))
        row.update(gt_path_smplx=[f"smplx_gt/{picture}_{person}.obj" for person in range(people)])
        yield dict(row, gt_joints_2d=pixels, gt_joints_3d=[each.astype(np.float32) for each in space])


if __name__ == "__main__":
    import pandas

    with open(sys.argv[1] + ".pkl", "wb") as file:
        pickle.dump(pandas.DataFrame(list(rows())), file, min(pickle.HIGHEST_PROTOCOL, int(sys.argv[2])))
