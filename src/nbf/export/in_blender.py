"""Run by Blender, not imported: `blender --background --python in_blender.py -- IN.glb OUT.fbx RATE FRAMES`.

Of the clips in the GLB, FBX gets the motion, which fills the scene frame by frame; people who are still (RATE 0) keep
their pose. FBX's own unit is the centimetre: FBX_SCALE_ALL makes a metre of ours a metre in Unity, Unreal and Maya.
"""

import os
import sys

import bpy  # pyright: ignore[reportMissingImports]

source, target, rate, frames = sys.argv[sys.argv.index("--") + 1 :]
moving = float(rate) > 0
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
if moving:
    scene.render.fps = max(1, round(float(rate)))
    scene.render.fps_base = scene.render.fps / float(rate)
    scene.frame_start, scene.frame_end = 0, int(frames) - 1
bpy.ops.import_scene.gltf(filepath=source)
for armature in [thing for thing in bpy.data.objects if thing.animation_data and thing.type == "ARMATURE"]:
    tracks = {track.name: track for track in armature.animation_data.nla_tracks}
    motion = tracks["motion"].strips[0].action if moving else None
    for track in tracks.values():
        armature.animation_data.nla_tracks.remove(track)
    armature.animation_data.action = motion
for thing in bpy.data.objects:  # not the balls by which Blender shows bones
    thing.select_set(thing.type == "ARMATURE" or any(modifier.type == "ARMATURE" for modifier in thing.modifiers))
bpy.ops.export_scene.fbx(
    filepath=target,
    use_selection=True,
    object_types={"ARMATURE", "MESH"},
    apply_scale_options="FBX_SCALE_ALL",
    add_leaf_bones=False,
    bake_anim=moving,
    bake_anim_use_nla_strips=False,
    bake_anim_use_all_actions=False,
    bake_anim_simplify_factor=0.0,
)
# At once: some versions of the module crash as they are unloaded.
os._exit(0)
