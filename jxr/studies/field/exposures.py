"""Exposures of a chest as they are made, in millimetres."""

from dataclasses import dataclass

from jxr.errors import UserError
from jxr.optics.focal_spots import UniformSpot
from jxr.optics.geometry import Geometry, resampled

# Focal spots of chest examinations: the small and the large spot of common tubes, in mm.
SPOTS = (0.6, 1.0, 1.2)


@dataclass(frozen=True)
class Exposure:
    """Where tube, chest and detector stand. Sizes and distances in mm, round numbers of practice.

    Attributes:
        title: for tables.
        source_detector_mm: from the focal spot to the detector.
        object_detector_mm: from the middle of the chest to the detector.
        field_mm: height (along the anode-cathode axis) and width of the image.
        detector_pitch_mm: of a digital detector of the kind.
        spot_mm: along and across, for the restoration study, where one spot must be named.
    """

    title: str
    source_detector_mm: float
    object_detector_mm: float
    field_mm: tuple[float, float]
    detector_pitch_mm: float = 0.14
    spot_mm: tuple[float, float] = (1.2, 1.2)
    anode_angle_deg: float = 12.0

    def geometry(self, spot_mm: tuple[float, float]) -> Geometry:
        """Returns the exposure on its detector, with an even spot: the textbook's penumbra."""
        return Geometry(
            focal_spot_mm=spot_mm,
            anode_angle_deg=self.anode_angle_deg,
            source_detector_mm=self.source_detector_mm,
            source_object_mm=self.source_detector_mm - self.object_detector_mm,
            pixel_pitch_mm=self.detector_pitch_mm,
            shape=UniformSpot(),
        )

    def at_size(self, spot_mm: tuple[float, float], size: int) -> Geometry:
        """Returns the exposure on an image that was resized to size by size pixels."""
        height, width = self.field_mm
        pixels = (round(height / self.detector_pitch_mm), round(width / self.detector_pitch_mm))
        return resampled(self.geometry(spot_mm), pixels, (size, size))

    def square(self, size: int) -> Geometry:
        """Returns the exposure with its own spot, on square pixels, `size` over the width."""
        geometry = self.geometry(self.spot_mm)
        pixels = round(self.field_mm[1] / self.detector_pitch_mm)
        return resampled(geometry, (pixels, pixels), (size, size))


EXPOSURES = {
    # Magnification 1.11, the example of every textbook.
    "chest_pa": Exposure("chest PA, 180 cm", 1800.0, 180.0, (430.0, 350.0)),
    # The patient lies on the detector, the tube is above the bed.
    "bedside": Exposure("bedside AP, 100 cm", 1000.0, 140.0, (350.0, 350.0)),
    "paediatric": Exposure("paediatric AP, 100 cm", 1000.0, 100.0, (300.0, 240.0)),
    # The worst that is still done: the detector in the tray under the mattress; and then with a
    # spot twice as long as its nominal value 1.2, which IEC 60336 lets pass.
    "incubator": Exposure("incubator tray, 80 cm", 800.0, 200.0, (300.0, 240.0)),
    "incubator_large": Exposure(
        "incubator tray, large spot", 800.0, 200.0, (300.0, 240.0), spot_mm=(2.4, 1.7)
    ),
}


def exposure(name: str) -> Exposure:
    """Returns an exposure by its name.

    Raises:
        UserError: there is none of that name.
    """
    if name not in EXPOSURES:
        raise UserError(f"exposures has '{name}': give some of {', '.join(EXPOSURES)}")
    return EXPOSURES[name]
