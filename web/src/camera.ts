// A photo from the camera: phones have a program for that, on other machines it is a dialog.
import { button, dialog, element } from "./dom";
import { text } from "./strings";

export async function camera(taken: (photo: Blob) => void, complain: (message: string) => void): Promise<void> {
  if (matchMedia("(pointer: coarse)").matches) {
    const input = element("input", { type: "file", accept: "image/*", capture: "environment" });
    input.addEventListener("change", () => input.files?.[0] && taken(input.files[0]));
    input.click();
    return;
  }
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 } } });
  } catch {
    complain(text.noCamera);
    return;
  }
  const video = element("video", { autoplay: true, playsinline: true, muted: true });
  video.srcObject = stream;
  const asking = dialog(text.camera, text.close, video);
  asking.addEventListener("close", () => stream.getTracks().forEach((track) => track.stop()));
  asking.append(
    button(text.shutter, async () => {
      const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
      canvas.getContext("2d")!.drawImage(video, 0, 0);
      asking.close();
      taken(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 }));
    }),
  );
}
