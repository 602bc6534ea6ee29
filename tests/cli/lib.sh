# Functions for the cases; run_case puts this before each cmd.

# small_tree DIR [N]: a class-folder tree with N (default 12) training and 4 test images a class
small_tree() {
    for small_class in NORMAL PNEUMONIA; do
        mkdir -p "$1/train/$small_class" "$1/test/$small_class"
        ls "$SAMPLES/chest_xray/train/$small_class" | head -n "${2-12}" | while read -r small_file; do
            cp "$SAMPLES/chest_xray/train/$small_class/$small_file" "$1/train/$small_class/"
        done
        ls "$SAMPLES/chest_xray/test/$small_class" | head -n 4 | while read -r small_file; do
            cp "$SAMPLES/chest_xray/test/$small_class/$small_file" "$1/test/$small_class/"
        done
    done
}

# small_run DIR RUN [options]: a quick run from scratch, so that a case has a run without pretrained weights
small_run() {
    small_dir=$1
    small_out=$2
    shift 2
    "$ENGRAFT" train "$small_dir" --model small_cnn --mode scratch --img-size 64 --epochs 1 --batch-size 8 \
        --patients none --out "$small_out" -q "$@"
}

# hostile_pickle FILE: protocol 2, "call posix.system('touch PWNED')"; what a weights file may hold
hostile_pickle() {
    printf '\200\002cposix\nsystem\nq\000X\013\000\000\000touch PWNEDq\001\205q\002Rq\003.' >"$1"
}

# one_image: path of some sample image
one_image() {
    ls "$SAMPLES"/chest_xray/test/NORMAL/*.jp*g | head -n 1
}

# skip_case WHY: what the case needs is not on this machine (run_case and ctest then call it skipped)
skip_case() {
    echo "skipped: $1" >&2
    exit 77
}

# weights_server FOLDER: serve it on 127.0.0.1 (tests/http/weights_server says how badly); sets $port and $server, and
# the log of requests is ./log. Without python3 the case is skipped.
weights_server() {
    python3 -c 'import http.server' 2>/dev/null || skip_case "no python3 for the test's HTTP server"
    "$SAMPLES/../tests/http/weights_server" "$1" port.txt log &
    server=$!
    tries=0
    while [ ! -s port.txt ] && [ $tries -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    read -r port <port.txt
}
