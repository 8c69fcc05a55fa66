"""Run by a Python that has Blender's module: python blender.py FILE.glb BONES FOLDER.

Imports a file with one of Blender's ways to lay out bones (BLENDER, TEMPERANCE, FORTUNE), writes it as FBX and BVH into
the folder and imports those. Writes `blender.npz`: of each armature i, 0 ..., in the glTF frame (y up), metres:
`vertices_i` and `heads_i` as opened, `fbx_vertices_i` and `bvh_heads_i` after the way there and back, and in `knees_i`
how both ankles of the T-pose move as the knees bend by 90 degrees about the first axis of their bones. And prints JSON:
the objects with their types and parents, clips, and where each bone points.
"""

import json
import math
import os
import sys
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
from mathutils import Matrix  # pyright: ignore[reportMissingImports]

source, bones, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])


def y_up(points) -> np.ndarray:
    return np.array(points).reshape(-1, 3) @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def armatures() -> list:
    return sorted((thing for thing in bpy.data.objects if thing.type == "ARMATURE"), key=lambda thing: thing.name)


def vertices(armature) -> np.ndarray:
    mesh = next(child for child in armature.children if child.type == "MESH")
    posed = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return y_up([mesh.matrix_world @ vertex.co for vertex in posed.data.vertices])


def heads(armature) -> np.ndarray:
    return y_up([armature.matrix_world @ bone.head for bone in armature.pose.bones])


def bent(armature) -> np.ndarray:
    pose = armature.pose.bones
    for bone in pose:
        bone.matrix_basis = Matrix()
    bpy.context.view_layer.update()
    before = heads(armature)
    for name in ("left_knee", "right_knee"):
        pose[name].matrix_basis = Matrix.Rotation(math.radians(90), 4, "X")
    bpy.context.view_layer.update()
    return (heads(armature) - before)[[pose.find("left_ankle"), pose.find("right_ankle")]]


def fresh() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)


fresh()
bpy.ops.import_scene.gltf(filepath=source, bone_heuristic=bones)
found: dict[str, np.ndarray] = {}
said = {"objects": {thing.name: thing.parent and thing.parent.name for thing in bpy.data.objects if thing.users_scene}}
said |= {"types": {thing.name: thing.type for thing in bpy.data.objects}, "bones": {}, "clips": {}}
for i, armature in enumerate(armatures()):
    found |= {f"vertices_{i}": vertices(armature), f"heads_{i}": heads(armature)}
    data = armature.data.bones
    said["bones"][armature.name] = {
        bone.name: y_up([(bone.tail_local - bone.head_local).normalized()])[0].tolist() for bone in data
    }
    said["clips"][armature.name] = sorted(track.name for track in armature.animation_data.nla_tracks)
count = len(armatures())
for thing in bpy.data.objects:
    thing.select_set(thing.type == "ARMATURE" or any(modifier.type == "ARMATURE" for modifier in thing.modifiers))
bpy.ops.export_scene.fbx(
    filepath=str(folder / "there.fbx"), use_selection=True, add_leaf_bones=False, bake_anim=False,
    apply_scale_options="FBX_SCALE_ALL",
)  # fmt: skip
for i, armature in enumerate(armatures()):
    bpy.context.view_layer.objects.active = armature
    bpy.ops.export_anim.bvh(filepath=str(folder / f"there_{i}.bvh"), frame_start=1, frame_end=1)
    found[f"placed_{i}"] = np.array(armature.matrix_world)
for i, armature in enumerate(armatures()):
    armature.animation_data_clear()
    found[f"knees_{i}"] = bent(armature)
fresh()
bpy.ops.import_scene.fbx(filepath=str(folder / "there.fbx"))
for i, armature in enumerate(armatures()):
    found[f"fbx_vertices_{i}"] = vertices(armature)
for i in range(count):
    fresh()
    bpy.ops.import_anim.bvh(filepath=str(folder / f"there_{i}.bvh"), axis_forward="Y", axis_up="Z")
    bpy.context.scene.frame_set(1)
    # BVH is in the armature's own frame.
    armature = armatures()[0]
    armature.matrix_world = Matrix(found.pop(f"placed_{i}"))
    bpy.context.view_layer.update()
    found[f"bvh_heads_{i}"] = heads(armature)
np.savez(folder / "blender.npz", **found)  # pyright: ignore[reportArgumentType]
print("JSON" + json.dumps(said))
sys.stdout.flush()
# At once: some versions of the module crash as they are unloaded.
os._exit(0)
