"""Write a small file of rows with images, as your own data would look: drawn blood smears, a patient each
two.

    python examples/make_own_data.py examples/own_data      writes rows.jsonl and img/ (CC0, drawn, not real)
    medxiaohe run recipes/own_data.yaml
"""

import json
import random
import sys
from pathlib import Path


def main(folder: Path, patients: int = 60, show: bool = True) -> None:
    from PIL import Image, ImageDraw

    (folder / "img").mkdir(parents=True, exist_ok=True)
    shuffle, rows = random.Random(0), []
    for patient in range(patients):
        for smear in range(2):
            crowded = (patient + smear) % 2 == 0
            image = Image.new("RGB", (84, 84), (245, 225, 230))
            draw = ImageDraw.Draw(image)
            for _ in range(shuffle.randint(18, 26) if crowded else shuffle.randint(2, 5)):
                x, y, r = shuffle.randint(4, 70), shuffle.randint(4, 70), shuffle.randint(5, 7)
                draw.ellipse((x, y, x + r, y + r), fill=(200, 60 + shuffle.randint(0, 40), 90))
            name = f"img/p{patient:02}-{smear}.png"
            image.save(folder / name)
            question = "<image>\nAre there more than ten red cells in this drawn smear? Answer yes or no."
            answer = {"role": "assistant", "content": "Yes." if crowded else "No."}
            messages = [{"role": "user", "content": question}, answer]
            rows.append(
                {
                    "id": f"p{patient:02}-{smear}",
                    "messages": messages,
                    "images": [name],
                    "target": "yes" if crowded else "no",
                }
                | {"patient_id": f"p{patient:02}", "license": "CC0-1.0"}
            )
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    if show:
        print(f"{len(rows)} rows of {patients} patients in {folder}/rows.jsonl")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("examples/own_data"))
