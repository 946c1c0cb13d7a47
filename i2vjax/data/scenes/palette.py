"""Class ids, colors by day and temperatures at night.

Class ids are the Cityscapes train ids. Colors are RGB of 255, temperatures degrees Celsius (ours,
chosen to look like long-wave infrared footage on a mild night).
"""

ROAD, SIDEWALK, BUILDING, POLE, LIGHT, SIGN, VEGETATION, SKY = 0, 1, 2, 5, 6, 7, 8, 10
PERSON, CAR, TRUCK, BUS, MOTORCYCLE = 11, 13, 14, 15, 17
OBJECTS = (LIGHT, SIGN, PERSON, CAR, TRUCK, BUS, MOTORCYCLE)   # these get boxes

ASPHALT_RGB, PAVING_RGB, KERB_RGB = (88, 88, 92), (140, 132, 124), (168, 164, 158)
MARK_RGB, SNOW_RGB, GLASS_RGB = (225, 225, 220), (225, 225, 225), (50, 60, 70)
WINDOW_RGB, GRASS_RGB, LEAF_RGB = (60, 75, 95), (88, 118, 60), (70, 105, 50)
TRUNK_RGB, POLE_RGB, DARK_RGB = (86, 70, 54), (110, 110, 112), (45, 45, 45)
TYRE_RGB, SKIN_RGB, UNDER_RGB = (28, 28, 30), (206, 160, 132), (34, 34, 36)
SKY_TOP, SKY_LOW = (120, 165, 220), (205, 215, 230)
GRAY_TOP, GRAY_LOW = (176, 182, 190), (208, 210, 213)     # overcast, rain and snow

WALLS_RGB = ((150, 90, 75), (206, 184, 142), (142, 142, 144), (200, 195, 185), (176, 126, 98),
             (166, 160, 146), (186, 164, 120), (124, 98, 88))
ROOFS_RGB = ((112, 62, 50), (78, 76, 78), (92, 72, 60), (104, 100, 98))
CARS_RGB = ((222, 222, 224), (36, 36, 40), (122, 124, 128), (176, 180, 184), (222, 222, 224),
            (36, 36, 40), (172, 34, 32), (38, 66, 140), (40, 96, 62), (214, 178, 48))   # 60 % plain
SHIRTS_RGB = ((190, 48, 44), (44, 80, 160), (232, 232, 228), (40, 42, 48), (226, 190, 60),
              (66, 130, 78), (148, 92, 150), (220, 130, 60))
TROUSERS_RGB = ((44, 48, 66), (36, 34, 34), (78, 70, 60))
VANS_RGB = ((226, 226, 224), (198, 60, 48), (52, 96, 158), (202, 182, 120))
BUSES_RGB = ((190, 44, 40), (226, 196, 60), (60, 120, 170), (224, 224, 220))

ROAD_C, PAVING_C, KERB_C, GRASS_C, WALL_C, WINDOW_C = 12.0, 11.0, 10.0, 7.0, 9.0, 3.0
LEAF_C, SKY_C, CLOUD_C, POLE_C, LIGHT_C, LAMP_C, SIGN_C = 6.0, -20.0, 0.0, 8.0, 12.0, 20.0, 8.0
HEAD_C, CLOTHES_C, BODY_C, GLASS_C, BONNET_C, TYRE_C = 31.0, 22.0, 11.0, 4.0, 20.0, 24.0
EXHAUST_C, BUS_WINDOW_C, ENGINE_C, SNOW_C = 34.0, 17.0, 36.0, 0.0

WEATHERS = ('clear', 'overcast', 'rain', 'snow')
CAMERAS = ('driving', 'monitoring')


def grayed(rgb, keep):
  """A color (three floats) with its saturation multiplied by `keep`."""
  mean = (rgb[0] + rgb[1] + rgb[2]) / 3.0
  return tuple(mean + keep * (c - mean) for c in rgb)
