"""Surveys: images of any size, tile by tile, to label maps, polygons and areas on the ground."""
