"""Media on the host: files, sound, pictures and faces.

audio, image: read sound and pictures. video, demux, rates, footage: read videos.
memory: files that are not on disk. write: write clips and pictures.
faces: detectors. crop: squares around faces. looks, track, follow: the way of a face
through a video, framed once (track) or frame by frame (follow).
paste, mouth: frames back into the picture. share: crops of faces that overlap.
colors, display: colours and turns of decoded frames. lengths: stated lengths of sound.
"""
