"""Which torch layer is which module: tables alone.

One row a layer: (torch prefix, module path, kind). `{i}` stands for a number. A kind of
`layouts.KINDS` expands a row to its tensors. `IGNORED` lists the tensors that inference
and training do not need, each with its reason.
"""

Row = tuple[str, str, str]
Table = tuple[Row, ...]

APPEARANCE: Table = (
    ("first.conv",                    "stem.conv",               "conv2d"),
    ("first.norm",                    "stem.norm",               "batch_norm"),
    ("down_blocks.{i}.conv",          "downs.{i}.conv",          "conv2d"),
    ("down_blocks.{i}.norm",          "downs.{i}.norm",          "batch_norm"),
    ("second",                        "lift",                    "conv2d"),
    ("resblocks_3d.3dr{i}.norm1",     "residuals.{i}.norm1",     "batch_norm"),
    ("resblocks_3d.3dr{i}.conv1",     "residuals.{i}.conv1.conv", "conv3d"),
    ("resblocks_3d.3dr{i}.norm2",     "residuals.{i}.conv1.norm", "batch_norm"),
    ("resblocks_3d.3dr{i}.conv2",     "residuals.{i}.conv2",     "conv3d"),
)  # fmt: skip

MOTION: Table = (
    ("detector.downsample_layers.0.0",  "backbone.stages.0.embed",                "conv2d"),
    ("detector.downsample_layers.0.1",  "backbone.stages.0.norm",                 "layer_norm"),
    ("detector.downsample_layers.1.0",  "backbone.stages.1.norm",                 "layer_norm"),
    ("detector.downsample_layers.1.1",  "backbone.stages.1.embed",                "conv2d"),
    ("detector.downsample_layers.2.0",  "backbone.stages.2.norm",                 "layer_norm"),
    ("detector.downsample_layers.2.1",  "backbone.stages.2.embed",                "conv2d"),
    ("detector.downsample_layers.3.0",  "backbone.stages.3.norm",                 "layer_norm"),
    ("detector.downsample_layers.3.1",  "backbone.stages.3.embed",                "conv2d"),
    ("detector.stages.{s}.{i}.dwconv",  "backbone.stages.{s}.blocks.{i}.depthwise", "conv2d"),
    ("detector.stages.{s}.{i}.norm",    "backbone.stages.{s}.blocks.{i}.norm",    "layer_norm"),
    ("detector.stages.{s}.{i}.pwconv1", "backbone.stages.{s}.blocks.{i}.expand",  "linear"),
    ("detector.stages.{s}.{i}.grn",     "backbone.stages.{s}.blocks.{i}.response", "response_norm"),
    ("detector.stages.{s}.{i}.pwconv2", "backbone.stages.{s}.blocks.{i}.project", "linear"),
    ("detector.norm",                   "backbone.norm",                          "layer_norm"),
    ("detector.fc_kp",                  "keypoints",                              "linear"),
    ("detector.fc_exp",                 "expression",                             "linear"),
    ("detector.fc_pitch",               "pitch",                                  "linear"),
    ("detector.fc_yaw",                 "yaw",                                    "linear"),
    ("detector.fc_roll",                "roll",                                   "linear"),
    ("detector.fc_t",                   "translation",                            "linear"),
    ("detector.fc_scale",               "scale",                                  "linear"),
)  # fmt: skip

WARPING: Table = (
    ("dense_motion_network.compress",                             "dense_motion.compress.conv",              "conv3d"),
    ("dense_motion_network.norm",                                 "dense_motion.compress.norm",              "batch_norm"),
    ("dense_motion_network.hourglass.encoder.down_blocks.{i}.conv", "dense_motion.hourglass.downs.{i}.conv", "conv3d"),
    ("dense_motion_network.hourglass.encoder.down_blocks.{i}.norm", "dense_motion.hourglass.downs.{i}.norm", "batch_norm"),
    ("dense_motion_network.hourglass.decoder.up_blocks.{i}.conv", "dense_motion.hourglass.ups.{i}.conv",     "conv3d"),
    ("dense_motion_network.hourglass.decoder.up_blocks.{i}.norm", "dense_motion.hourglass.ups.{i}.norm",     "batch_norm"),
    ("dense_motion_network.hourglass.decoder.conv",               "dense_motion.hourglass.last.conv",        "conv3d"),
    ("dense_motion_network.hourglass.decoder.norm",               "dense_motion.hourglass.last.norm",        "batch_norm"),
    ("dense_motion_network.mask",                                 "dense_motion.mask",                       "conv3d"),
    ("dense_motion_network.occlusion",                            "dense_motion.occlusion",                  "conv2d"),
    ("third.conv",                                                "flatten.conv",                            "conv2d"),
    ("third.norm",                                                "flatten.norm",                            "batch_norm"),
    ("fourth",                                                    "project",                                 "conv2d"),
)  # fmt: skip

GENERATOR: Table = (
    ("fc",                                   "stem",                      "conv2d"),
    ("G_middle_{i}.conv_0",                  "middle.{i}.conv1",          "spectral_conv"),
    ("G_middle_{i}.conv_1",                  "middle.{i}.conv2",          "spectral_conv"),
    ("G_middle_{i}.norm_0.mlp_shared.0",     "middle.{i}.norm1.shared",   "conv2d"),
    ("G_middle_{i}.norm_0.mlp_gamma",        "middle.{i}.norm1.gamma",    "conv2d"),
    ("G_middle_{i}.norm_0.mlp_beta",         "middle.{i}.norm1.beta",     "conv2d"),
    ("G_middle_{i}.norm_1.mlp_shared.0",     "middle.{i}.norm2.shared",   "conv2d"),
    ("G_middle_{i}.norm_1.mlp_gamma",        "middle.{i}.norm2.gamma",    "conv2d"),
    ("G_middle_{i}.norm_1.mlp_beta",         "middle.{i}.norm2.beta",     "conv2d"),
    ("up_0.conv_0",                          "up1.conv1",                 "spectral_conv"),
    ("up_0.conv_1",                          "up1.conv2",                 "spectral_conv"),
    ("up_0.conv_s",                          "up1.shortcut",              "spectral_conv_without_bias"),
    ("up_0.norm_0.mlp_shared.0",             "up1.norm1.shared",          "conv2d"),
    ("up_0.norm_0.mlp_gamma",                "up1.norm1.gamma",           "conv2d"),
    ("up_0.norm_0.mlp_beta",                 "up1.norm1.beta",            "conv2d"),
    ("up_0.norm_1.mlp_shared.0",             "up1.norm2.shared",          "conv2d"),
    ("up_0.norm_1.mlp_gamma",                "up1.norm2.gamma",           "conv2d"),
    ("up_0.norm_1.mlp_beta",                 "up1.norm2.beta",            "conv2d"),
    ("up_0.norm_s.mlp_shared.0",             "up1.shortcut_norm.shared",  "conv2d"),
    ("up_0.norm_s.mlp_gamma",                "up1.shortcut_norm.gamma",   "conv2d"),
    ("up_0.norm_s.mlp_beta",                 "up1.shortcut_norm.beta",    "conv2d"),
    ("up_1.conv_0",                          "up2.conv1",                 "spectral_conv"),
    ("up_1.conv_1",                          "up2.conv2",                 "spectral_conv"),
    ("up_1.conv_s",                          "up2.shortcut",              "spectral_conv_without_bias"),
    ("up_1.norm_0.mlp_shared.0",             "up2.norm1.shared",          "conv2d"),
    ("up_1.norm_0.mlp_gamma",                "up2.norm1.gamma",           "conv2d"),
    ("up_1.norm_0.mlp_beta",                 "up2.norm1.beta",            "conv2d"),
    ("up_1.norm_1.mlp_shared.0",             "up2.norm2.shared",          "conv2d"),
    ("up_1.norm_1.mlp_gamma",                "up2.norm2.gamma",           "conv2d"),
    ("up_1.norm_1.mlp_beta",                 "up2.norm2.beta",            "conv2d"),
    ("up_1.norm_s.mlp_shared.0",             "up2.shortcut_norm.shared",  "conv2d"),
    ("up_1.norm_s.mlp_gamma",                "up2.shortcut_norm.gamma",   "conv2d"),
    ("up_1.norm_s.mlp_beta",                 "up2.shortcut_norm.beta",    "conv2d"),
    ("conv_img.0",                           "head",                      "conv2d"),
)  # fmt: skip

STITCHING: Table = tuple((f"mlp.{2 * i}", f"layers.{i}", "linear") for i in range(4))
EYE_RETARGETING: Table = tuple(
    (f"mlp.{2 * i}", f"layers.{i}", "linear") for i in range(6)
)

WHISPER: Table = (
    ("encoder.positional_embedding",        "positions",                      "array"),
    ("encoder.conv1",                       "conv1",                          "conv1d"),
    ("encoder.conv2",                       "conv2",                          "conv1d"),
    ("encoder.blocks.{i}.attn_ln",          "blocks.{i}.attention_norm",      "layer_norm"),
    ("encoder.blocks.{i}.attn.query",       "blocks.{i}.attention.query",     "linear"),
    ("encoder.blocks.{i}.attn.key",         "blocks.{i}.attention.key",       "linear_without_bias"),
    ("encoder.blocks.{i}.attn.value",       "blocks.{i}.attention.value",     "linear"),
    ("encoder.blocks.{i}.attn.out",         "blocks.{i}.attention.out",       "linear"),
    ("encoder.blocks.{i}.mlp_ln",           "blocks.{i}.mlp_norm",            "layer_norm"),
    ("encoder.blocks.{i}.mlp.0",            "blocks.{i}.expand",              "linear"),
    ("encoder.blocks.{i}.mlp.2",            "blocks.{i}.project",             "linear"),
)  # fmt: skip

FLOW_TRANSFORMER: Table = (
    ("latent_mean",                                          "statistics.mean",                          "row"),
    ("latent_std",                                           "statistics.std",                           "row"),
    ("empty_aud_feat",                                       "null_audio",                               "row"),
    ("latent_proj.0",                                        "motion_stem.conv",                         "conv1d"),
    ("latent_proj.2",                                        "motion_stem.mlp",                          "gated_mlp"),
    ("aud_cond_proj.0",                                      "audio_stem.conv",                          "conv1d"),
    ("aud_cond_proj.2",                                      "audio_stem.mlp",                           "gated_mlp"),
    ("global_aud_cond_proj",                                 "pooled_audio",                             "linear"),
    ("t_embed.mlp.0",                                        "time.expand",                              "linear"),
    ("t_embed.mlp.2",                                        "time.project",                             "linear"),
    ("joint_blocks.{i}.latent_block.adaLN_modulation.1",     "joint_blocks.{i}.motion.modulation.linear", "linear"),
    ("joint_blocks.{i}.latent_block.attn.qkv",               "joint_blocks.{i}.motion.qkv",              "qkv"),
    ("joint_blocks.{i}.latent_block.attn.q_norm",            "joint_blocks.{i}.motion.qkv.query_norm",   "rms_norm"),
    ("joint_blocks.{i}.latent_block.attn.k_norm",            "joint_blocks.{i}.motion.qkv.key_norm",     "rms_norm"),
    ("joint_blocks.{i}.latent_block.linear1",                "joint_blocks.{i}.motion.out",              "conv1d"),
    ("joint_blocks.{i}.latent_block.ffn",                    "joint_blocks.{i}.motion.mlp",              "gated_mlp"),
    ("joint_blocks.{i}.audio_block.adaLN_modulation.1",      "joint_blocks.{i}.audio.modulation.linear", "linear"),
    ("joint_blocks.{i}.audio_block.attn.qkv",                "joint_blocks.{i}.audio.qkv",               "qkv"),
    ("joint_blocks.{i}.audio_block.attn.q_norm",             "joint_blocks.{i}.audio.qkv.query_norm",    "rms_norm"),
    ("joint_blocks.{i}.audio_block.attn.k_norm",             "joint_blocks.{i}.audio.qkv.key_norm",      "rms_norm"),
    ("joint_blocks.{i}.audio_block.linear1",                 "joint_blocks.{i}.audio.out",               "conv1d"),
    ("joint_blocks.{i}.audio_block.ffn",                     "joint_blocks.{i}.audio.mlp",               "gated_mlp"),
    ("fused_blocks.{i}.adaLN_modulation.1",                  "fused_blocks.{i}.modulation.linear",       "linear"),
    ("fused_blocks.{i}.attn.qkv",                            "fused_blocks.{i}.qkv",                     "qkv"),
    ("fused_blocks.{i}.attn.q_norm",                         "fused_blocks.{i}.qkv.query_norm",          "rms_norm"),
    ("fused_blocks.{i}.attn.k_norm",                         "fused_blocks.{i}.qkv.key_norm",            "rms_norm"),
    ("fused_blocks.{i}.linear1",                             "fused_blocks.{i}.out",                     "conv1d"),
    ("fused_blocks.{i}.ffn",                                 "fused_blocks.{i}.mlp",                     "gated_mlp"),
    ("final_layer.adaLN_modulation.1",                       "final_modulation.linear",                  "linear"),
    ("final_layer.conv",                                     "final_conv",                               "conv1d"),
)  # fmt: skip

PERCEPTUAL: Table = (
    ("features.0",   "stages.0.0",  "conv2d"),
    ("features.2",   "stages.0.1",  "conv2d"),
    ("features.5",   "stages.1.0",  "conv2d"),
    ("features.7",   "stages.1.1",  "conv2d"),
    ("features.10",  "stages.2.0",  "conv2d"),
    ("features.12",  "stages.2.1",  "conv2d"),
    ("features.14",  "stages.2.2",  "conv2d"),
    ("features.16",  "stages.2.3",  "conv2d"),
    ("features.19",  "stages.3.0",  "conv2d"),
    ("features.21",  "stages.3.1",  "conv2d"),
    ("features.23",  "stages.3.2",  "conv2d"),
    ("features.25",  "stages.3.3",  "conv2d"),
    ("features.28",  "stages.4.0",  "conv2d"),
)  # fmt: skip

TABLES: dict[str, Table] = {
    "appearance": APPEARANCE,
    "motion": MOTION,
    "warping": WARPING,
    "generator": GENERATOR,
    "stitching": STITCHING,
    "lip_retargeting": STITCHING,
    "eye_retargeting": EYE_RETARGETING,
    "whisper": WHISPER,
    "flow_transformer": FLOW_TRANSFORMER,
    "perceptual": PERCEPTUAL,
}
"""Part -> table."""

IGNORED: dict[str, tuple[tuple[str, str], ...]] = {
    "appearance": (
        (
            "*.num_batches_tracked",
            "a count of training batches, which no result depends on",
        ),
    ),
    "warping": (
        (
            "*.num_batches_tracked",
            "a count of training batches, which no result depends on",
        ),
    ),
    "whisper": (
        ("decoder.*", "the text decoder: audio features come from the encoder"),
        ("encoder.ln_post.*", "the final norm: features are taken before it"),
    ),
    "flow_transformer": (
        ("global_cond_mlp.*", "stored by the original, which never calls it"),
    ),
    "perceptual": (
        ("features.3[024].*", "after the last map that the loss compares"),
        ("classifier.*", "the classifier: the loss compares feature maps"),
    ),
}
"""Part -> (pattern, reason) of the tensors that stay behind."""
