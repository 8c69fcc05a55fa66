"""Run by Blender, in tests: joints of the people in a file, as they stand in each frame of the scene.

blender --background --python in_blender.py -- FILE OUT.json FIRST LAST
"""

import json
import os
import sys
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]

file, out, first, last = sys.argv[sys.argv.index("--") + 1 :]
bpy.ops.wm.read_factory_settings(use_empty=True)
match Path(file).suffix:
    case ".bvh":
        bpy.ops.import_anim.bvh(filepath=file, axis_forward="-Z", axis_up="Y")
    case ".usd":
        bpy.ops.wm.usd_import(filepath=file)
    case ".fbx":
        bpy.ops.import_scene.fbx(filepath=file)
    case ".glb":
        bpy.ops.import_scene.gltf(filepath=file)
frames = []
for frame in range(int(first), int(last) + 1):
    bpy.context.scene.frame_set(frame)
    graph, people = bpy.context.evaluated_depsgraph_get(), {}
    for thing in sorted((each for each in bpy.data.objects if each.type == "ARMATURE"), key=lambda each: each.name):
        posed = thing.evaluated_get(graph)
        heads = {bone.name: posed.matrix_world @ bone.head for bone in posed.pose.bones}
        people[thing.name] = {name: [head.x, head.z, -head.y] for name, head in heads.items()}  # back to y up
    frames.append(people)
Path(out).write_text(json.dumps(frames))
os._exit(0)  # some versions of the module crash as they are unloaded
