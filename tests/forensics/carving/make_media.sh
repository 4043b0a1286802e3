#!/bin/sh
# Makes media.zip: a test picture, film and tone by ffmpeg, a page by chromium, a compound file by gsf (libgsf). Run in this folder.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
here=$PWD
cd "$work"
picture="-f lavfi -i testsrc=size=64x48:rate=5:duration=1"
tone="-f lavfi -i sine=frequency=440:duration=1"
# shellcheck disable=SC2086
{
    ffmpeg -v error $picture -frames:v 1 picture.jpg
    ffmpeg -v error $picture film.gif
    ffmpeg -v error $picture -frames:v 1 picture.webp
    ffmpeg -v error $picture -frames:v 1 -c:v libaom-av1 picture.avif
    ffmpeg -v error $picture -c:v mpeg4 film.mp4
    ffmpeg -v error $picture -c:v mpeg4 -movflags frag_keyframe+empty_moov fragmented.mp4
    ffmpeg -v error $picture -c:v mpeg4 film.mov
    ffmpeg -v error $picture -c:v mpeg4 film.avi
    ffmpeg -v error $tone -b:a 32k tone.mp3
}
echo '<h1>Page</h1>' >page.html
chromium --headless --no-sandbox --disable-gpu --print-to-pdf=page.pdf page.html >/dev/null 2>&1
mkdir letter
echo 'A letter' >letter/WordDocument
(cd letter && gsf createole ../letter.doc WordDocument >/dev/null)
rm -r page.html letter
rm -f "$here/media.zip"
zip -q -X "$here/media.zip" ./*
