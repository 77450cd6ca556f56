#!/usr/bin/env bash
# docker/check.sh DOCKERFILE [--dry-run]: run a Dockerfile's lines in a fresh Debian root, without Docker.
#
# Needs root, debootstrap and git. RUN, ENV, COPY, WORKDIR and USER are followed; the program then makes the demo's clip as the
# image's user, and the health check is run. With --dry-run pip only resolves what it would install, and nothing
# after that is run. ROOT keeps the Debian root for the next call (MIRROR and SUITE: where it is from).
set -euo pipefail
cd "$(dirname "$0")/.."
file=${1:?pass a Dockerfile}
dry=${2:-}
suite=${SUITE:-bookworm}
work=$(mktemp -d)
root=$work/root
trap 'rm -rf --one-file-system "$work"' EXIT

echo "== Debian $suite"
if [ -n "${ROOT:-}" ] && [ -d "$ROOT" ]; then
    cp -a "$ROOT" "$root"
else
    debootstrap --variant=minbase "$suite" "$root" "${MIRROR:-http://deb.debian.org/debian}" >"$work/debootstrap.txt" 2>&1 ||
        { tail -5 "$work/debootstrap.txt"; exit 1; }
    [ -z "${ROOT:-}" ] || cp -a "$root" "$ROOT"
fi
cp -L /etc/resolv.conf "$root/etc/resolv.conf"

# Settings of this machine's network, which an image has from its host as well.
variables=(HOME=/tmp LANG=C.UTF-8)
for name in $(compgen -e | grep -iE '^pip_(index_url|timeout|default_timeout)$|_proxy$' || true); do
    variables+=("$name=${!name}")
done
if [ -f "${PIP_CERT:-}" ]; then
    # Debian's own certificates come to their usual place later.
    install -D -m 644 "$PIP_CERT" "$root/check/certificates.pem"
    variables+=("PIP_CERT=/check/certificates.pem")
fi

user=root
folder=/
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# Runs words in the root, in namespaces of their own, so that nothing outlives them.
inside() {
    local id=0
    [ "$user" = root ] || id=$(chroot "$root" id -u "$user")
    # The program finds its folder and its user as Docker would set them.
    unshare --mount --pid --fork sh -c '
        mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" || exit 1
        root=$1 id=$2; shift 2
        exec chroot --userspec="$id:$id" "$root" "$@"' sh "$root" "$id" \
        env -i "PATH=$path" "${variables[@]}" sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
}

# A line that ends in a backslash continues in the next one.
while read -r keyword rest; do
    case $keyword in
    '' | '#'*) continue ;;
    RUN)
        echo "== RUN $rest"
        if [ -n "$dry" ] && [[ $rest == *"pip install"* ]]; then
            # Newer pips resolve from metadata, without downloading wheels of gigabytes.
            inside sh -c "${rest%%&&*} && /opt/jaxportrait/bin/pip install -q -U pip"
            install=$(grep -o '/[^ ]*/pip install [^&]*' <<<"$rest")
            inside sh -c "$install -q --dry-run --report report.json"
            inside /opt/jaxportrait/bin/python -c 'import json
for item in json.load(open("report.json"))["install"]:
    print(item["metadata"]["name"], item["metadata"]["version"])'
            echo "== resolved; nothing was installed"
            exit 0
        fi
        inside sh -c "$rest"
        ;;
    ENV)
        eval "pairs=($rest)"
        for pair in "${pairs[@]}"; do
            variables+=("$pair")
            [[ $pair != PATH=* ]] || path=${pair#PATH=}
        done
        ;;
    COPY)
        target=$root/${rest#* }
        mkdir -p "$target"
        git ls-files -z --cached --others --exclude-standard |
            tar -c --anchored --exclude-from=.dockerignore --null -T - | tar -x -C "$target"
        ;;
    WORKDIR)
        folder=$rest
        mkdir -p "$root/$folder"
        ;;
    USER) user=$rest ;;
    HEALTHCHECK) health=$(sed 's/.*CMD \["\(.*\)"\]/\1/' <<<"$rest") ;;
    ENTRYPOINT) program=$(sed 's/\["\(.*\)"\]/\1/' <<<"$rest") ;;
    esac
done < <(sed -e ':join' -e '/\\$/{N;s/\\\n *//;bjoin' -e '}' "$file")

echo "== as $user in $folder: $program"
inside "$program" --help | head -3
inside "$program" animate --output-fps 5 -o clip.mp4
inside id -u
test -s "$root/$folder/clip.mp4"
[ "$(stat -c %U "$root/$folder/clip.mp4")" != root ]
[ -n "$(ls "$root/cache/xla")" ]
echo "== health check: $health"
inside "$health"
echo "== $file is good: $(du -sh --exclude=proc --exclude=dev "$root" | cut -f1) of files"
