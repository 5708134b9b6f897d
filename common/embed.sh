#!/bin/sh
# embed.sh FOLDER FILE...: prints the C source of the table FOLDER_assets (common/assets.h) with the
# bytes of the files, which are named relative to the project's root and lie below FOLDER.
set -eu
folder=$1
shift
printf '/* Made by common/embed.sh. */\n#include "common/assets.h"\n\n'
n=0
for file; do
    printf 'extern const unsigned char %s_asset_%d[];\n' "$folder" $n
    printf '__asm__(".pushsection .rodata\\n"\n'
    printf '        ".globl %s_asset_%d\\n"\n' "$folder" $n
    printf '        "%s_asset_%d: .incbin \\"%s\\"\\n.byte 0\\n"\n' "$folder" $n "$file"
    printf '        ".popsection\\n");\n'
    n=$((n + 1))
done
printf '\nextern const struct asset %s_assets[];\nconst struct asset %s_assets[] = {\n' "$folder" "$folder"
n=0
for file; do
    printf '    {"%s", %s_asset_%d, %d},\n' "${file#"$folder"/}" "$folder" $n "$(wc -c <"$file")"
    n=$((n + 1))
done
printf '    {0, 0, 0},\n};\n'
