"""The synthetic aerial set's renderer: a procedural world, a camera above it, and painters that agree on every pixel.

`world` says what stands where, `blocks` fills the squares between the roads, `camera` projects, `ground` and `objects`
paint colour and class id with the same polygons, and `sensor` adds light, haze, lens and noise. `edgeseg.data.synthetic`
puts them together. Lengths are metres, x points east, y north, z up; colours are blue-green-red, 0-255.
"""
