#!/usr/bin/env bash
# Train networks like the demo's from random weights: bash examples/train_demo.sh [DATA] [RUNS]
# The result is RUNS/demo.checkpoint. Start the script again to resume. Needs espeak-ng and the extra `train`.
#
# It takes about ten hours on two cores. For a quick look at every stage, set
#   UPDATES=N   updates of each training stage, in place of its own number
#   HEADS=N     people whose pictures are drawn
#   SPEAKERS=N  people who are drawn for their speech
set -euo pipefail
data=${1:-data/demo} runs=${2:-runs/demo}
mkdir -p "$data" "$runs"

python() { # run a program; UPDATES replaces the number of updates of a training stage
    if [ "$2" = train ] && [ -n "${UPDATES:-}" ]; then
        set -- "$@" --steps "$UPDATES"
    fi
    command python "$@"
}

stage() { # FRAMES NAME OPTIONS...: train a renderer stage and export it, unless that is done
    local frames=$1 name=$2
    shift 2
    test -d "$runs/$name.checkpoint" && return
    python -m train --stage renderer --dataset-path "$data/$frames" --work-dir "$runs/$name" "$@"
    python -m train.export --work-dir "$runs/$name" --output "$runs/$name.checkpoint" --log-mel 80
}

# Two data sets: people with large pictures, and others with more speech and small pictures, from which only
# motion is learned.
python -m train.synthetic --output-path "$data/heads" --subjects "${HEADS:-174}" --clips 2 --seconds 2
python -m train.synthetic --output-path "$data/speech" --subjects "${SPEAKERS:-134}" --clips 2 --seconds 4 --size 128 --seed 11
mkdir -p "$data/all"
for subject in "$data"/heads/[MW]*; do
    ln -sfn "$(realpath "$subject")" "$data/all/$(basename "$subject")"
done
for subject in "$data"/speech/[MW]*; do
    name=$(basename "$subject")
    ln -sfn "$(realpath "$subject")" "$data/all/${name:0:1}S${name:1}"
done
python -m train.frames --dataset-path "$data/heads" --output-path "$data/frames" \
    --size 256 --frames 24 --zoom 1.35 --detector haar --workers 2
python -m train.frames --dataset-path "$data/all" --output-path "$data/faces" \
    --size 128 --frames 24 --zoom 1.35 --detector haar --workers 2

# The motion extractor M, from random weights, at falling rates. The later stages add `gaps`, which ask how far lips
# and lids part.
stage faces motion1 --config configs/demo_motion.toml --steps 460 --learning-rate 2e-3 \
    --warmup-steps 100 --losses.equivariance 2 --losses.pose 0.03 --losses.gaps 0
stage faces motion2 --config configs/demo_motion.toml --init "$runs/motion1.checkpoint" --steps 200 --learning-rate 5e-4 \
    --warmup-steps 50 --losses.pose 0.03 --losses.gaps 0
stage faces motion3 --config configs/demo_motion.toml --init "$runs/motion2.checkpoint" --steps 500 --learning-rate 1.5e-4 \
    --losses.pose 0.03 --losses.gaps 0
stage faces motion4 --config configs/demo_motion.toml --init "$runs/motion3.checkpoint" --losses.gaps 0
stage faces motion5 --config configs/demo_motion.toml --init "$runs/motion4.checkpoint" --learning-rate 4e-4 \
    --drop-steps 550 820
stage faces motion --config configs/demo_motion.toml --init "$runs/motion5.checkpoint" --steps 1800 --learning-rate 8e-4 \
    --warmup-steps 60 --drop-steps 1000 1450 --contrast 0.9 --color-jitter 0.2

# The warping network W, from landmarks; F and G still have random weights.
stage faces warping --config configs/demo_warping.toml --init "$runs/motion.checkpoint"
stage faces lids --config configs/demo_warping.toml --init "$runs/warping.checkpoint" --contrast 1 \
    --gaps 19 20 11 15 13 16 \
    --steps 480 --drop-steps 350 430

# Pictures: F, W and G together, at falling rates. The first stage takes the most updates, as F and G start here.
stage frames renderer1 --config configs/demo_renderer.toml --init "$runs/lids.checkpoint" --steps 2400 --learning-rate 8e-4 \
    --warmup-steps 50 --drop-steps 2000 --ema-decay 0.995 --losses.focus 4
stage frames renderer2 --config configs/demo_renderer.toml --init "$runs/renderer1.checkpoint" --losses.focus 4
stage frames renderer3 --config configs/demo_renderer.toml --init "$runs/renderer2.checkpoint" --steps 2000 --learning-rate 4e-4 \
    --warmup-steps 50 --drop-steps 1800 --ema-decay 0.995
stage frames renderer4 --config configs/demo_renderer.toml --init "$runs/renderer3.checkpoint" --steps 1400 --learning-rate 4e-4 \
    --warmup-steps 50 --drop-steps 500 1050 --ema-decay 0.995
stage frames renderer5 --config configs/demo_renderer.toml --init "$runs/renderer4.checkpoint" --steps 1750 --learning-rate 4e-4 \
    --warmup-steps 30 --drop-steps 1560 --ema-decay 0.995 --losses.adversarial 0.5 --losses.feature-matching 10 \
    --gaps 19 20 11 15 13 16 --contrast 0.9
# The last stage has no discriminator, which sharpens lids and teeth but draws light lines beside dark hair.
stage frames renderer --config configs/demo_renderer.toml --init "$runs/renderer5.checkpoint" --steps 1600 --learning-rate 4e-4 \
    --warmup-steps 50 --drop-steps 900 1350 --ema-decay 0.995 --losses.focus 4 --contrast 0.9

# Motion of all clips, and the flow transformer that makes motion from sound.
test -f "$data/motion/dataset.json" || python -m train.process --dataset-path "$data/all" \
    --output-path "$data/motion" --checkpoint "$runs/motion.checkpoint" --motion face --workers 2
test -d "$runs/flow1.checkpoint" || {
    python -m train --dataset-path "$data/motion" --checkpoint "$runs/renderer.checkpoint" --work-dir "$runs/flow1" \
        --config configs/demo_flow.toml --steps 2000 --drop-steps 1400 1750
    python -m train.export --work-dir "$runs/flow1" --output "$runs/flow1.checkpoint"
}
python -m train --dataset-path "$data/motion" --checkpoint "$runs/renderer.checkpoint" --work-dir "$runs/flow" \
    --config configs/demo_flow.toml --init "$runs/flow1.checkpoint" --steps 6000 --drop-steps 4200 5300 \
    --weight-decay 0.1
python -m train.export --work-dir "$runs/flow" --checkpoint "$runs/renderer.checkpoint" --dtype float16 \
    --cfg-scale 1.5 --overwrite --output "$runs/demo.checkpoint"
