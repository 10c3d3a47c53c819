"""The synthetic aerial set's renderer: a procedural world, a camera above it, and painters that agree on every pixel.

`world` says what stands where, `blocks` fills the squares between the roads, `camera` projects; `ground`, `buildings`,
`trees`, `vehicles` and `people` paint colour and class id with the same polygons; `sensor` adds haze, lens and noise.
`edgeseg.synth.aerial` puts them together. Lengths are metres, x points east, y north, z up; colours are
blue-green-red, 0-255.
"""
